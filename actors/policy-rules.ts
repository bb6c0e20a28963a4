// Rules that a team adds to the standard policy of agents in workspaces, as plain data that travels to executors.
// What a rule means is tools/policy.ts: one that is added can deny and ask, and allows what no other rule forbids.

import { z } from "zod";
import { type Policy, standardPolicy } from "../tools/index.ts";

const name = z.string().min(1).max(80);

export const policyRulesSchema = z
  .array(
    z.strictObject({
      id: name,
      effect: z.enum(["allow", "deny", "ask"]),
      /** "*" for every role. */
      roles: z.array(name).max(50),
      /** "git.commit", "git.*" or "*". */
      tools: z.array(name).max(50),
      risks: z.array(z.enum(["read", "write", "execute", "network"])).exactOptional(),
      /** One sentence for the agent, and for the person who is asked. */
      reason: z.string().min(1).max(500),
    }),
  )
  .max(100);

export type PolicyRules = z.infer<typeof policyRulesSchema>;

/** The standard policy with these rules beside its own. */
export const policyWith = (rules: PolicyRules): Policy => ({ rules: [...standardPolicy.rules, ...rules] });
