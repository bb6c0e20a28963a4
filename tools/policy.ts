// May this call run: a pure decision over rules that are plain data.
// It is not where the decision is enforced (run-tool.ts), nor what keeps a running command in bounds (workspace/).
//
// P1  Closed when in doubt: a call that no rule names is denied; an empty list in a rule matches nothing.
// P2  Order does not matter: deny beats ask, ask beats allow. A rule added later can only be undone by reading it.
// P3  A verdict names its rule and gives a reason the model can act on.

import type { Risk } from "./tool.ts";

export type Effect = "allow" | "deny" | "ask";

export interface PolicyRule {
  /** Names the rule in verdicts and audits. */
  readonly id: string;
  readonly effect: Effect;
  /** Role names, or "*" for every role. Compared exactly. */
  readonly roles: readonly string[];
  /** "git.push", "git.*" or "*". */
  readonly tools: readonly string[];
  /** Only calls of these risks. Omitted: of every risk. */
  readonly risks?: readonly Risk[];
  /** One sentence for whoever was refused. */
  readonly reason: string;
}

export interface Policy {
  readonly rules: readonly PolicyRule[];
}

/** What a decision looks at. */
export interface PolicyCall {
  readonly role: string;
  readonly tool: string;
  readonly risk: Risk;
}

export interface Verdict {
  readonly kind: Effect;
  readonly reason: string;
  /** Id of the rule that decided; "none" when no rule named the call (P1). */
  readonly rule: string;
}

/** Strongest first (P2). */
const STRENGTH = ["deny", "ask", "allow"] as const satisfies readonly Effect[];

export function decide(call: PolicyCall, policy: Policy): Verdict {
  const applying = policy.rules.filter((rule) => applies(rule, call));
  for (const effect of STRENGTH) {
    const rule = applying.find((candidate) => candidate.effect === effect);
    if (rule !== undefined) return { kind: effect, reason: rule.reason, rule: rule.id };
  }
  return { kind: "deny", reason: `No rule lets role ${call.role} use ${call.tool}.`, rule: "none" };
}

function applies(rule: PolicyRule, call: PolicyCall): boolean {
  return (
    rule.roles.some((role) => role === "*" || role === call.role) &&
    rule.tools.some((pattern) => matchesTool(pattern, call.tool)) &&
    (rule.risks === undefined || rule.risks.includes(call.risk))
  );
}

function matchesTool(pattern: string, tool: string): boolean {
  if (pattern === "*" || pattern === tool) return true;
  return pattern.endsWith(".*") && tool.startsWith(pattern.slice(0, -1));
}

/** The roles a task can be given to: each ends in a commit, so each must be able to make one. */
const BUILDERS = ["DEV", "QA", "ARCHITECT", "DEVOPS", "DATA"];
/** Those who only judge others' work. */
const JUDGES = ["REVIEWER"];

/** Builders change their workspace and run its code, judges read and run tests, nobody reaches beyond the workspace. */
export const standardPolicy: Policy = {
  rules: [
    {
      id: "builders-work",
      effect: "allow",
      roles: BUILDERS,
      tools: ["*"],
      risks: ["read", "write", "execute"],
      reason: "Builders may read, change and run what is in their workspace.",
    },
    {
      id: "judges-read",
      effect: "allow",
      roles: JUDGES,
      tools: ["*"],
      risks: ["read"],
      reason: "Judges may read their workspace.",
    },
    {
      id: "judges-test",
      effect: "allow",
      roles: JUDGES,
      tools: ["tests.*"],
      risks: ["read", "execute"],
      reason: "Judges may run the tests.",
    },
    {
      id: "stay-inside",
      effect: "deny",
      roles: ["*"],
      tools: ["*"],
      risks: ["network"],
      reason:
        "Agents work in their own clone and reach no other repository or server. Commit; the fleet publishes the winner.",
    },
  ],
};
