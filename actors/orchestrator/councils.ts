// The councils there are: made, changed and deleted by request, and kept in the fleet's store, so that they outlive the orchestrator.
// It is not what a council does (deliberation.ts).
//
// CC1  What is answered is in the store. A change is made to what the store holds, and made again when somebody was faster.
// CC2  An id that a member had is never given to another while the council is there; a council that was deleted and made again is a new one.
// CC3  A member without a model of its own is asked by the services' model, whichever that is then. Without either nobody is asked: the
//      mock is there for those who name it.

import type { ActorSystem } from "../../runtime/index.ts";
import { type ModelSpec, modelName } from "../agent-actor.ts";
import { AGENTS_MAX, agentIdOf, agentIds, type Role, roleNamed } from "../council/roles.ts";
import { fail } from "../errors.ts";
import { type Document, Documents } from "../events/documents.ts";
import { idSchema } from "../planning/story.ts";
import { type CouncilRecord, type CouncilSeat, councilSchema, type KeptModel, keptModel } from "./council-record.ts";
import { ROUNDS_MAX } from "./deliberation-request.ts";
import { refuse } from "./errors.ts";
import type { Council, CouncilDraft } from "./orchestrator-api.ts";

const AGENTS = 3;
/** Members that a council may have had. */
const LEFT_MAX = 1_000;

export interface NewAgent {
  readonly role: string;
  readonly agentId?: string;
  readonly model?: ModelSpec;
}

/** Whether a member takes part in a deliberation now. */
export type IsBusy = (role: string, agentId: string) => boolean;

export class Councils {
  readonly #documents: Documents<CouncilRecord>;
  readonly #system: Pick<ActorSystem, "ports" | "clock">;
  readonly #model: KeptModel | undefined;
  /** By role; what the store held when it was last looked at. */
  readonly #known = new Map<string, Document<CouncilRecord>>();

  /** `model`: the services' own. */
  constructor(system: Pick<ActorSystem, "ports" | "clock">, model: KeptModel | undefined) {
    this.#system = system;
    this.#model = model;
    this.#documents = new Documents(system, "orchestrator.council", councilSchema);
  }

  /** Reads what is there; before anything else. Throws DocumentUnreadable, Unavailable. */
  async load(): Promise<void> {
    for (const document of await this.#documents.list()) this.#known.set(document.id, document);
  }

  list(isBusy: IsBusy): readonly Council[] {
    return [...this.#known.values()]
      .map(({ value }) => this.view(value, isBusy))
      .sort((a, b) => (a.role < b.role ? -1 : 1));
  }

  /** Throws as createCouncil of the orchestrator does. */
  async create({ role: name, agents = AGENTS, rounds = 1, model }: CouncilDraft): Promise<Council> {
    const role = roleNamed(name.slice(0, 40));
    const ids = agentIds(role, agents);
    if (!Number.isInteger(rounds) || rounds < 1 || rounds > ROUNDS_MAX)
      throw refuse("RequestInvalid", `A council has 1 to ${ROUNDS_MAX} rounds, not ${rounds}.`, { data: { rounds } });
    const kept = model === undefined ? undefined : keptModel(model);
    if (kept === undefined && this.#model === undefined) throw modelUnset(role.name);
    const members = ids.map((agentId, index) => ({
      agentId,
      number: index + 1,
      ...(kept !== undefined && { model: kept }),
    }));
    const createdAtMs = this.#system.clock.now();
    const record = { role: role.name, rounds, members, left: [], nextNumber: agents + 1, createdAtMs };
    const document = await this.#documents.create(role.name, record);
    if (document === undefined) {
      await this.#reload(role.name);
      throw refuse("CouncilExists", `There is a council of ${role.name} already.`, { data: { role: role.name } });
    }
    this.#known.set(role.name, document);
    return this.view(record, () => false);
  }

  /** Throws CouncilUnknown. */
  async delete(role: string): Promise<void> {
    for (;;) {
      const document = this.#document(role);
      if (await this.#documents.delete(document)) return void this.#known.delete(document.id);
      await this.#reload(document.id);
    }
  }

  /** Throws CouncilUnknown, AgentExists, AgentCountInvalid, RequestInvalid, ModelUnset. */
  async register({ role, agentId, model }: NewAgent): Promise<CouncilRecord> {
    const kept = model === undefined ? undefined : keptModel(model);
    if (agentId !== undefined && !idSchema.safeParse(agentId).success)
      throw refuse("RequestInvalid", "An agent's id has 1 to 64 letters, digits, _ and -.");
    return this.#change(role, (council) => {
      if (kept === undefined && this.#model === undefined) throw modelUnset(council.role);
      return joined(council, agentId, kept);
    });
  }

  /** Throws CouncilUnknown, AgentUnknown. */
  async unregister(role: string, agentId: string): Promise<CouncilRecord> {
    return this.#change(role, (council) => {
      const members = council.members.filter((member) => member.agentId !== agentId);
      if (members.length === council.members.length) throw agentUnknown(council, agentId);
      return { ...council, members, left: [...council.left, agentId] };
    });
  }

  /** Who takes part in a deliberation, and in how many rounds. Throws NoAgentsForRole, RequestInvalid, ModelUnset. */
  seats(role: Role, agents?: number): { readonly seats: readonly CouncilSeat[]; readonly rounds: number } {
    const council = this.#known.get(role.name)?.value;
    const members = council?.members ?? [];
    if (council === undefined || members.length === 0) throw noAgents(role.name, council !== undefined);
    if (agents !== undefined && agents > members.length)
      throw refuse("RequestInvalid", `The council of ${role.name} has ${members.length} agents, not ${agents}.`, {
        data: { agents, members: members.length },
      });
    const seats = members.slice(0, agents).map(({ model = this.#model, ...member }) => {
      if (model === undefined) throw modelUnset(role.name);
      return { ...member, model };
    });
    return { seats, rounds: council.rounds };
  }

  /** The longest there of a role's council; undefined where there is nobody that could be asked. */
  first({ name }: Role): CouncilSeat | undefined {
    const [member] = this.#known.get(name)?.value.members ?? [];
    const model = member?.model ?? this.#model;
    return member === undefined || model === undefined ? undefined : { ...member, model };
  }

  /** Makes a change to the council as the store has it (CC1). */
  async #change(role: string, act: (council: CouncilRecord) => CouncilRecord): Promise<CouncilRecord> {
    for (;;) {
      const document = this.#document(role);
      const next = await this.#documents.replace(document, act(document.value));
      if (next !== undefined) {
        this.#known.set(next.id, next);
        return next.value;
      }
      await this.#reload(document.id);
    }
  }

  #document(role: string): Document<CouncilRecord> {
    const document = this.#known.get(role.trim().toUpperCase());
    if (document !== undefined) return document;
    const councils = [...this.#known.keys()].sort();
    const there = councils.length === 0 ? "There are none" : `There are: ${councils.join(", ")}`;
    throw refuse("CouncilUnknown", `There is no council of ${role.slice(0, 40)}. ${there}.`, { data: { councils } });
  }

  async #reload(id: string): Promise<void> {
    const document = await this.#documents.get(id);
    if (document === undefined) this.#known.delete(id);
    else this.#known.set(id, document);
  }

  /** What pages show of a council. */
  view({ role, rounds, members, createdAtMs }: CouncilRecord, isBusy: IsBusy): Council {
    const shown = members.map(({ agentId, model = this.#model }) => ({
      ...{ agentId, model: model === undefined ? "none" : modelName(model) },
      status: isBusy(role, agentId) ? ("busy" as const) : ("idle" as const),
    }));
    return { role, rounds, members: shown, createdAtMs };
  }
}

/** The council with one more member. Throws AgentExists, AgentCountInvalid. */
function joined(council: CouncilRecord, wanted: string | undefined, model: KeptModel | undefined): CouncilRecord {
  const { members, left } = council;
  if (members.length >= AGENTS_MAX || left.length >= LEFT_MAX) {
    const message = `The council of ${council.role} has ${members.length} agents of at most ${AGENTS_MAX}, and ${left.length} of at most ${LEFT_MAX} have left it.`;
    throw fail("AgentCountInvalid", message, { data: { count: members.length + 1, max: AGENTS_MAX } });
  }
  const had = new Set([...left, ...members.map(({ agentId }) => agentId)]);
  if (wanted !== undefined && had.has(wanted))
    throw refuse("AgentExists", `The council of ${council.role} has or had an agent ${wanted}.`, {
      data: { agentId: wanted },
    });
  let { nextNumber } = council;
  const role = roleNamed(council.role);
  // An agent may have been given, by name, the id that would have been next.
  while (wanted === undefined && had.has(agentIdOf(role, nextNumber))) nextNumber += 1;
  const member = {
    agentId: wanted ?? agentIdOf(role, nextNumber),
    number: nextNumber,
    ...(model !== undefined && { model }),
  };
  return { ...council, members: [...members, member], nextNumber: nextNumber + 1 };
}

const modelUnset = (role: string) =>
  refuse("ModelUnset", `No model for the council of ${role}: neither it nor the services were given one.`, {
    data: { role },
  });

function noAgents(role: string, isThere: boolean) {
  const message = isThere
    ? `No agents configured for role ${role}: its council has no members. Register one (registerAgent).`
    : `No agents configured for role ${role}. Make a council for it first (createCouncil).`;
  return fail("NoAgentsForRole", message, { data: { role } });
}

function agentUnknown({ role, members }: CouncilRecord, agentId: string) {
  const ids = members.map((member) => member.agentId);
  const message = `The council of ${role} has no agent ${agentId.slice(0, 64)}. It has: ${ids.join(", ") || "none"}.`;
  return refuse("AgentUnknown", message, { data: { role, agents: ids } });
}
