// fleet.planning.v1 over the planning service.

import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { z } from "zod";
import { type Client, type PlanningApi, type RepositoryRef, rigorSchema } from "../../actors/index.ts";
import { FlotillaError } from "../../runtime/index.ts";
import type { PlanningService, Repository } from "../proto/gen/fleet/planning/v1/planning_pb.js";
import { type ClientsFor, callOf } from "./call.ts";
import { reportOf } from "./report-messages.ts";
import {
  approvalMessage,
  availableMessage,
  draftsOf,
  epicMessage,
  planMessage,
  projectMessage,
  readinessMessage,
  stepsOf,
  storyMessage,
  taskMessage,
  transitionMessage,
} from "./story-messages.ts";
import { changeOf, checked, count, fieldInvalid, present, text } from "./values.ts";

type Service = ServiceImpl<typeof PlanningService>;
type PlanningOf = (context: HandlerContext) => Client<PlanningApi>;

const STORIES_PAGE = 50;

export function planningService(clients: ClientsFor): Service {
  const planning: PlanningOf = (context) => clients(callOf(context)).planning;
  return {
    ...projects(planning),
    ...stories(planning),
    ...moves(planning),
    ...plans(planning),
    ...approvals(planning),
  };
}

type Part<Method extends keyof Service> = Pick<Service, Method>;

const projects = (planning: PlanningOf): Part<"createProject" | "listProjects" | "createEpic" | "listEpics"> => ({
  async createProject({ title, description, projectId, ...change }, context) {
    const draft = present({ ...changeOf(change), title, description, id: text(projectId) });
    return { project: projectMessage(await planning(context).createProject(draft)) };
  },
  async listProjects(_, context) {
    return { projects: (await planning(context).projects()).map(projectMessage) };
  },
  async createEpic({ projectId, title, description, epicId, ...change }, context) {
    const draft = present({ ...changeOf(change), projectId, title, description, id: text(epicId) });
    return { epic: epicMessage(await planning(context).createEpic(draft)) };
  },
  async listEpics({ projectId }, context) {
    return { epics: (await planning(context).epics(text(projectId))).map(epicMessage) };
  },
});

const rigorOf = (rigor: string | undefined) => (rigor ? checked(rigorSchema, rigor, "rigor") : undefined);

const repositoryOf = (repository: Repository | undefined): RepositoryRef | undefined =>
  repository && present({ url: repository.url, branch: text(repository.branch) });

const stories = (planning: PlanningOf): Part<"createStory" | "editStory" | "getStory" | "listStories"> => ({
  async createStory({ title, brief, ac, ...request }, context) {
    const draft = present({
      ...changeOf(request),
      id: text(request.storyId),
      epicId: text(request.epicId),
      title,
      description: brief,
      criteria: ac,
      rigor: rigorOf(request.rigor),
      repository: repositoryOf(request.repository),
    });
    const story = await planning(context).createStory(draft);
    const { id: storyId, state } = story;
    const message = storyMessage(story);
    return {
      storyId,
      state,
      dorScore: Math.round(story.readiness.score),
      story: message,
      readiness: readinessMessage(story),
    };
  },
  async editStory({ storyId, title, brief, criteria, ...request }, context) {
    const edit = present({
      ...changeOf(request),
      storyId,
      expectedVersion: count(request.expectedVersion),
      title,
      description: brief,
      criteria: criteria?.ac,
      rigor: rigorOf(request.rigor),
    });
    const story = await planning(context).editStory(edit);
    return { story: storyMessage(story), readiness: readinessMessage(story) };
  },
  async getStory({ storyId }, context) {
    const story = await planning(context).story(storyId);
    return present({
      story: storyMessage(story),
      ac: [...story.criteria],
      readiness: readinessMessage(story),
      plan: story.plan && planMessage(story.plan),
      tasks: story.tasks.map(taskMessage),
      reports: Object.fromEntries(Object.entries(story.reports).map(([phase, scored]) => [phase, scoredOf(scored)])),
      history: story.history.map(transitionMessage),
    });
  },
  async listStories({ stateFilter, limit, epicId, after }, context) {
    const filter = present({ state: text(stateFilter), epicId: text(epicId), after: text(after) });
    const page = await planning(context).stories({ ...filter, max: limit || STORIES_PAGE });
    return present({ stories: page.stories.map(storyMessage), next: page.next });
  },
});

const scoredOf = ({ gate, score, reasons }: { gate: string; score: number; reasons: readonly string[] }) => ({
  gatingDecision: gate,
  score,
  reasons: [...reasons],
});

const moves = (planning: PlanningOf): Part<"transition" | "getPlan"> => ({
  async transition({ storyId, event, expectedVersion, feedback, ...change }, context) {
    const moved = await planning(context).transition(
      present({
        ...changeOf(change),
        storyId,
        event,
        expectedVersion: count(expectedVersion),
        feedback: text(feedback),
      }),
    );
    if (moved.kind === "blocked") {
      const { blocked, story } = moved;
      const why = blocked.map(({ guard, reason }) => `${guard}: ${reason}`).join("; ");
      const message = `${event} of ${storyId} is blocked: ${why}`;
      throw new FlotillaError("TransitionBlocked", message, { data: { storyId, state: story.state, event, blocked } });
    }
    return { storyId: moved.story.id, state: moved.story.state, story: storyMessage(moved.story) };
  },
  async getPlan({ storyId }, context) {
    const service = planning(context);
    const [story, events] = await Promise.all([service.story(storyId), service.available(storyId)]);
    return present({
      state: story.state,
      version: story.version,
      events: events.map(availableMessage),
      plan: story.plan && planMessage(story.plan),
      tasks: story.tasks.map(taskMessage),
    });
  },
});

const plans = (planning: PlanningOf): Part<"proposePlan" | "addTasks" | "recordReport"> => ({
  async proposePlan({ storyId, title, text: words, steps, rationale, planId, expectedVersion, ...change }, context) {
    const story = await planning(context).proposePlan(
      present({
        ...changeOf(change),
        storyId,
        plan: present({
          title,
          text: words,
          id: text(planId),
          rationale: text(rationale),
          steps: steps.length > 0 ? stepsOf(steps) : undefined,
        }),
        expectedVersion: count(expectedVersion),
      }),
    );
    return present({ story: storyMessage(story), plan: story.plan && planMessage(story.plan) });
  },
  async addTasks({ storyId, planId, tasks, ...change }, context) {
    const added = { ...changeOf(change), storyId, planId, tasks: draftsOf(tasks) };
    const story = await planning(context).addTasks(added);
    return { story: storyMessage(story), tasks: story.tasks.map(taskMessage) };
  },
  async recordReport({ storyId, phase, report, ...change }, context) {
    if (report === undefined) throw fieldInvalid("report", "it is missing");
    const recorded = { ...changeOf(change), storyId, phase, report: reportOf(report) };
    return { scored: scoredOf(await planning(context).recordReport(recorded)) };
  },
});

const decisionSchema = z.enum(["approve", "reject"]);

const approvals = (planning: PlanningOf): Part<"listApprovals" | "getApproval" | "decide" | "ask"> => ({
  async listApprovals({ role, storyId }, context) {
    const waiting = await planning(context).approvals(present({ role: text(role), storyId: text(storyId) }));
    return { approvals: waiting.map(approvalMessage) };
  },
  async getApproval({ approvalId }, context) {
    return { approval: approvalMessage(await planning(context).approval(approvalId)) };
  },
  async decide({ approvalId, decision, feedback, ...change }, context) {
    const decided = present({
      ...changeOf(change),
      approvalId,
      decision: checked(decisionSchema, decision, "decision"),
      feedback: text(feedback),
    });
    return { approval: approvalMessage(await planning(context).decide(decided)) };
  },
  async ask({ subject, question, roles, storyId, taskId, timeoutMs, ...change }, context) {
    const asked = present({
      ...changeOf(change),
      subject,
      question,
      roles,
      storyId: text(storyId),
      taskId: text(taskId),
      timeoutMs: count(Number(timeoutMs)),
    });
    return { approval: approvalMessage(await planning(context).ask(asked)) };
  },
});
