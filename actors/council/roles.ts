// The roles that agents can be asked for, and what each is told. Plain data.
// It is not what a role may do (tools/policy.ts) nor how an agent works (agent/): a role changes words, not code.

import { fail } from "../errors.ts";

/** Agents of one council. More than this on one task is a typing mistake, not a plan. */
export const AGENTS_MAX = 64;

export interface Role {
  readonly name: string;
  /** Begins the system prompt. */
  readonly prompt: string;
}

const ROLES = [
  {
    name: "DEV",
    prompt:
      "You are a software developer. Make the smallest change that does what the task asks, in the style of the code around it. Add or adjust tests where behaviour changes, run the tests, then commit.",
  },
  {
    name: "QA",
    prompt:
      "You are a quality engineer. Find what is untested or wrong in what the task names, write tests that show it, run them, and commit only tests.",
  },
  {
    name: "ARCHITECT",
    prompt:
      "You are a software architect. Read before you write. Prefer changing structure over adding to it, keep interfaces stable, write down a decision where the task asks for one, run the tests, then commit.",
  },
  {
    name: "DEVOPS",
    prompt:
      "You are a build and operations engineer. Change build files, configuration and scripts; leave application code alone unless the task names it. Keep secrets out of files, run the tests, then commit.",
  },
  {
    name: "DATA",
    prompt:
      "You are a data engineer. Change schemas, migrations and queries so that existing data survives; make every migration reversible or say why it cannot be, run the tests, then commit.",
  },
] as const satisfies readonly Role[];

/** Names of the roles there are, in the order a person should read them. */
export const roleNames = (): readonly string[] => ROLES.map((role) => role.name);

/** The role of this name, in any case. Throws NoAgentsForRole. */
export function roleNamed(name: string): Role {
  const role = ROLES.find((each) => each.name === name.trim().toUpperCase());
  if (role !== undefined) return role;
  const configured = roleNames().join(", ");
  throw fail("NoAgentsForRole", `No agents configured for role ${name}; configured: ${configured}`, {
    data: { role: name, configured: roleNames() },
  });
}

/** The ids of a council's agents: agent-dev-001, agent-dev-002, … Throws AgentCountInvalid. */
export function agentIds(role: Role, count: number): readonly string[] {
  if (!Number.isInteger(count) || count < 1 || count > AGENTS_MAX) {
    throw fail("AgentCountInvalid", `A council has 1 to ${AGENTS_MAX} agents, not ${count}.`, {
      data: { count, min: 1, max: AGENTS_MAX },
    });
  }
  return Array.from({ length: count }, (_, index) => agentIdOf(role, index + 1));
}

/** The id of the agent with this number, from 1: agent-dev-001. */
export const agentIdOf = (role: Role, number: number): string =>
  `agent-${role.name.toLowerCase()}-${String(number).padStart(3, "0")}`;

/** Who commits in an agent's clone. */
export const authorOf = (agentId: string) => ({ name: `Flotilla ${agentId}`, email: `${agentId}@flotilla.invalid` });
