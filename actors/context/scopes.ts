// Which scopes of a story a role may be told in which phase: the table of scopes.yaml, read, checked and asked. It is not what a scope
// says of a story (sections.ts).
//
// SO1  A file that is missing, or says anything that this does not understand, is an error: a policy that is empty by mistake would tell
//      everybody nothing, or everything.
// SO2  Every phase names the same roles. Roles and phases are compared without regard to case; what there is not is an error that lists
//      what there is.
// SO3  What a phase does not give a role is forbidden to it, also by name: a caller who brings more scopes than are allowed is refused.

import { readFile } from "node:fs/promises";
import { z } from "zod";
import { fail } from "../errors.ts";
import { failContext } from "./errors.ts";

/** In the order in which a text is filled. */
export const SCOPES = [
  "CASE_HEADER",
  "PLAN_HEADER",
  "SUBTASKS_ROLE",
  "DECISIONS_RELEVANT_ROLE",
  "DEPS_RELEVANT",
  "SUMMARY_LAST",
  "SUBTASKS_ALL",
  "DECISIONS_GLOBAL",
  "DEPS_DECISIONS",
  "SUBTASKS_ROLE_MIN",
  "SUBTASKS_ALL_MIN",
  "DECISIONS_GLOBAL_MIN",
  "MILESTONES",
] as const;
export type Scope = (typeof SCOPES)[number];

const scope = z.enum(SCOPES);
const grant = z
  .strictObject({ required: z.array(scope), allowed: z.array(scope) })
  .refine(({ required, allowed }) => new Set([...required, ...allowed]).size === required.length + allowed.length, {
    error: "a scope is named twice",
  });
const word = z.string().regex(/^[A-Z][A-Z0-9_-]{0,39}$/, "upper case: a role or phase as all write it");
const tableSchema = z.strictObject({
  scopes: z.record(scope, z.string().min(1)),
  budgets: z.record(z.string(), z.int().min(256).max(1_000_000)).refine((budgets) => budgets.others !== undefined, {
    error: "`others` is missing: the budget of roles that are not named",
  }),
  phases: z.record(word, z.strictObject({ about: z.string(), roles: z.record(word, grant) })),
});

/** What one role is told in one phase. */
export interface Grant {
  readonly role: string;
  readonly phase: string;
  /** One sentence on the phase. */
  readonly about: string;
  readonly required: readonly Scope[];
  readonly allowed: readonly Scope[];
}

const PER_TASK = 256;
const PER_DECISION = 128;
const BUMP_MAX = 4_096;
const BUILT_IN = new URL("./scopes.yaml", import.meta.url);

const invalid = (why: string) => failContext("ScopesInvalid", `The table of scopes ${why}.`);

export class ScopePolicy {
  readonly #table: z.infer<typeof tableSchema>;

  private constructor(table: z.infer<typeof tableSchema>) {
    this.#table = table;
  }

  /** Reads the table of a file; default: ours. Throws ScopesInvalid (SO1). */
  static async read(path: string | URL = BUILT_IN): Promise<ScopePolicy> {
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      throw invalid(`cannot be read: ${error.message}`);
    });
    return ScopePolicy.parse(text);
  }

  /** Takes a table as YAML. Throws ScopesInvalid (SO1). */
  static async parse(text: string): Promise<ScopePolicy> {
    const { parse } = await import("yaml");
    let data: unknown;
    try {
      data = parse(text);
    } catch (error) {
      throw invalid(`is no YAML: ${String(error).split("\n", 1)[0]}`);
    }
    const parsed = tableSchema.safeParse(data);
    const issue = parsed.error?.issues[0];
    if (!parsed.success) throw invalid(`is not valid: ${issue?.path.join(".")}: ${issue?.message}`);
    const [first, ...others] = Object.entries(parsed.data.phases);
    if (first === undefined) throw invalid("has no phases");
    const roles = Object.keys(first[1].roles).sort().join(", ");
    const odd = others.find(([, phase]) => Object.keys(phase.roles).sort().join(", ") !== roles);
    if (odd !== undefined) throw invalid(`gives ${odd[0]} other roles than ${first[0]} (${roles})`);
    return new ScopePolicy(parsed.data);
  }

  get roles(): readonly string[] {
    const [phase] = Object.values(this.#table.phases);
    return Object.keys(phase?.roles ?? {});
  }

  get phases(): readonly string[] {
    return Object.keys(this.#table.phases);
  }

  /** The role as all write it. Throws RoleUnknown (SO2). */
  role(given: string): string {
    const role = this.roles.find((each) => each === given.trim().toUpperCase());
    if (role !== undefined) return role;
    const roles = this.roles.join(", ");
    throw fail("RoleUnknown", `There is no role ${given}; there are ${roles}.`, { data: { roles: this.roles } });
  }

  /** Throws RoleUnknown, PhaseUnknown (SO2). */
  grant(givenRole: string, givenPhase: string): Grant {
    const role = this.role(givenRole);
    const phase = givenPhase.trim().toUpperCase();
    const found = Object.hasOwn(this.#table.phases, phase) ? this.#table.phases[phase] : undefined;
    const given = found?.roles[role];
    if (found !== undefined && given !== undefined) return { role, phase, about: found.about, ...given };
    const phases = this.phases.join(", ");
    throw fail("PhaseUnknown", `There is no phase ${givenPhase}; there are ${phases}.`, {
      data: { phases: this.phases },
    });
  }

  /** Whether some phase shows the role everything: then its session does, too. */
  seesAll(role: string): boolean {
    return this.phases.some((phase) => {
      const { required, allowed } = this.grant(role, phase);
      return [...required, ...allowed].some((each) => each === "SUBTASKS_ALL" || each === "DECISIONS_GLOBAL");
    });
  }

  /** Tokens of a role's text for a story of this size. */
  budget(role: string, tasks: number, decisions: number): number {
    const { budgets } = this.#table;
    const own = Object.hasOwn(budgets, role) ? budgets[role] : budgets.others;
    return (own ?? 0) + Math.min(BUMP_MAX, PER_TASK * tasks + PER_DECISION * decisions);
  }

  /** Whether these are the scopes that a role is told in a phase (SO3). Throws RoleUnknown, PhaseUnknown. */
  validate(role: string, phase: string, scopes: readonly string[]) {
    const grant = this.grant(role, phase);
    const may: readonly string[] = [...grant.required, ...grant.allowed];
    const missing = grant.required.filter((each) => !scopes.includes(each));
    const extra = [...new Set(scopes)].filter((each) => !may.includes(each));
    const reasons = [
      ...(missing.length === 0 ? [] : [`${missing.join(", ")} must be there`]),
      ...(extra.length === 0 ? [] : [`${extra.join(", ")} may not be there`]),
    ];
    const of = `${grant.role} in ${grant.phase}`;
    const reason = reasons.length === 0 ? `These are scopes of ${of}.` : `For ${of} ${reasons.join("; ")}.`;
    return { allowed: reasons.length === 0, missing, extra, reason };
  }
}
