// How proposals are told apart: each part of a score, ties, equal proposals, members without one.

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Brief } from "../../../actors/orchestrator/deliberation-request.ts";
import { type Candidate, type JudgedReview, rankProposals } from "../../../actors/orchestrator/proposal-ranking.ts";
import {
  coverage,
  median,
  PROPOSAL_WEIGHTS,
  readProposal,
  requirementsPart,
  substancePart,
} from "../../../actors/orchestrator/proposal-score.ts";
import { readReview } from "../../../actors/orchestrator/review-reply.ts";
import { brief, reviewOf, TEXTS } from "./sittings.ts";

const review = (author: string, score?: number, items: Record<string, number> = {}): JudgedReview => ({
  ...{ round: 2, reviewer: "r", author, text: "…", items, ...(score !== undefined && { score }) },
});
const candidate = (agentId: string, text: string | undefined, more: Partial<Candidate> = {}): Candidate => ({
  ...{ agentId, revisions: text === undefined ? [] : [{ round: 1, text }], reviews: [], faults: 0, notes: [] },
  ...{ usage: { inputTokens: 0, outputTokens: 0 }, ...more },
});
const order = (candidates: readonly Candidate[], more: Partial<Brief> = {}) =>
  rankProposals(candidates, { ...brief, ...more }).map(({ agentId }) => agentId);

describe("a ranking", () => {
  it("tells good from thin from empty by their texts alone", () => {
    const ranked = rankProposals(
      [candidate("a", TEXTS.empty), candidate("b", TEXTS.thin), candidate("c", TEXTS.good)],
      brief,
    );
    expect(ranked.map(({ agentId }) => agentId)).toEqual(["c", "b", "a"]);
    const [best, middle, worst] = ranked.map(({ score }) => score);
    expect(best).toBeGreaterThan((middle ?? 1) + 0.2);
    expect(middle).toBeGreaterThan(worst ?? 1);
  });

  it("tells even good ones apart, and calls none perfect by its text", () => {
    const other = [
      "The upload in `src/upload.ts` gives up at the first failure. I would let the queue send each file again.",
      "- Put failed files back into the queue of src/queue.ts, at most three times.",
      "- Verify in a test that an invalid file is not sent again.",
      "The limit keeps a broken server from holding up the other files; those that missed it are shown with their error to whoever sent them, who may then start the upload again by hand.",
    ].join("\n");
    const scores = rankProposals([candidate("a", other), candidate("b", TEXTS.good)], brief).map(({ score }) => score);
    expect(scores[0]).not.toBe(scores[1]);
    expect(Math.max(...scores)).toBeLessThan(1);
  });

  const table: readonly (readonly [what: string, better: Candidate, worse: Candidate, more: Partial<Brief>])[] = [
    [
      "the median of its reviews",
      candidate("b", `${TEXTS.thin} b`, { reviews: [review("b", 0.9), review("b", 0.8), review("b", 0.1)] }),
      candidate("a", `${TEXTS.thin} a`, { reviews: [review("a", 0.7), review("a", 0.7), review("a", 1)] }),
      {},
    ],
    [
      "the rubric, by its weights",
      candidate("b", `${TEXTS.thin} b`, { reviews: [review("b", 0.5, { safety: 0.9, style: 0.2 })] }),
      candidate("a", `${TEXTS.thin} a`, { reviews: [review("a", 0.5, { safety: 0.2, style: 0.9 })] }),
      {
        rubric: [
          { name: "safety", weight: 3 },
          { name: "style", weight: 1 },
        ],
      },
    ],
    [
      "requirements",
      candidate("b", `${TEXTS.thin} Old clients are told the quota.`),
      candidate("a", `${TEXTS.thin} Nobody is told anything new.`),
      { requirements: ["old clients learn of the quota"] },
    ],
    ["answers that came", candidate("b", `${TEXTS.thin} b`), candidate("a", `${TEXTS.thin} a`, { faults: 2 }), {}],
    [
      "fewer revisions, when all else is equal",
      candidate("b", "x", { revisions: [{ round: 1, text: "one two three" }] }),
      candidate("a", "x", {
        revisions: [
          { round: 1, text: "so" },
          { round: 2, text: "one two four" },
        ],
      }),
      {},
    ],
    ["its id, when everything is equal", candidate("a", "one two three"), candidate("b", "one two four"), {}],
  ];
  it.each(table)("prefers by %s", (_, better, worse, more) => {
    expect(order([worse, better], more)).toEqual([better.agentId, worse.agentId]);
    expect(order([better, worse], more)).toEqual([better.agentId, worse.agentId]);
  });

  it("counts equal proposals once, and says so to both", () => {
    const [first, second, third] = rankProposals(
      [candidate("a", TEXTS.good), candidate("b", `  ${TEXTS.good.toUpperCase()}`), candidate("c", TEXTS.thin)],
      brief,
    );
    expect([first?.agentId, first?.parts.distinct, second?.parts.distinct]).toEqual(["a", 1, 0]);
    expect(first?.reasons[0]).toBe("b came to the same proposal.");
    expect(second?.reasons[0]).toContain("equal to the proposal of a");
    expect(second?.score).toBeLessThan(first?.score ?? 0);
    expect(third?.agentId).toBe("c");
  });

  it("makes it no merit to be judged by nobody", () => {
    const judged = [
      candidate("a", `${TEXTS.good} a`, { reviews: [review("a", 0.4)] }),
      candidate("b", `${TEXTS.good} b`, { reviews: [review("b", 0.5)] }),
    ];
    const [best, unjudged] = rankProposals([...judged, candidate("c", `${TEXTS.good} c`)], brief);
    expect([best?.agentId, unjudged?.agentId]).toEqual(["b", "c"]);
    expect(unjudged?.parts).not.toHaveProperty("reviews");
    expect(unjudged?.reasons.join(" ")).toContain("the council's median, 0.45, stands for it");
  });

  it("puts members without a proposal last, in the order of their ids", () => {
    const error = { code: "ModelBusy", message: "Busy." };
    const ranked = rankProposals(
      [candidate("b", undefined, { error }), candidate("c", "x"), candidate("a", undefined, { error })],
      brief,
    );
    expect(ranked.map(({ agentId, rank, score }) => [agentId, rank, score])).toEqual([
      ["c", 1, ranked[0]?.score],
      ["a", 2, 0],
      ["b", 3, 0],
    ]);
    expect(ranked[2]).toMatchObject({ error, reasons: ["Busy."], proposal: "", revisions: [] });
  });

  it("is total, bounded and the same in any order of the members", () => {
    const text = fc.constantFrom<string | undefined>(TEXTS.good, TEXTS.thin, TEXTS.empty, "x", undefined);
    const score = fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined });
    const member = fc.record({ text, score, faults: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 6 }), fc.nat(), (members, turn) => {
        const all = members.map(({ text: said, score: given, faults }, index) =>
          candidate(`m${index}`, said, { faults, reviews: given === undefined ? [] : [review(`m${index}`, given)] }),
        );
        const ranked = rankProposals(all, brief);
        const at = turn % all.length;
        expect(rankProposals([...all.slice(at), ...all.slice(0, at)], brief)).toEqual(ranked);
        expect(ranked.map(({ rank }) => rank)).toEqual(all.map((_, index) => index + 1));
        for (const { score: value, parts } of ranked)
          for (const each of [value, ...Object.values(parts)]) expect(each >= 0 && each <= 1).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

describe("parts", () => {
  it("weigh one in all", () => {
    expect(Object.values(PROPOSAL_WEIGHTS).reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1);
  });

  it("look for words, never for pieces of words", () => {
    expect(coverage(readProposal("authentication of contestants"), "then test")).toBe(0);
    expect(coverage(readProposal("It was tested twice, with retries."), "test retry")).toBe(0.5);
    expect(coverage(readProposal("Tests come first"), "test")).toBe(1);
    expect(coverage(readProposal("anything"), "then")).toBe(1);
  });

  it("name the requirements that are not met", () => {
    const { value, reasons } = requirementsPart(readProposal("A quota for clients"), [
      "quota for clients",
      "audit log",
    ]);
    expect({ value, reasons }).toEqual({ value: 0.5, reasons: ["It does not speak of: audit log"] });
  });

  it("let nothing be gained by saying it again, or at great length", () => {
    const once = substancePart(readProposal(TEXTS.good), brief.task).value;
    expect(substancePart(readProposal(`${TEXTS.good}\n`.repeat(3)), brief.task).value).toBeLessThan(once);
    const padding = Array.from({ length: 2_000 }, (_, index) => `Sentence number ${index} says little.`).join(" ");
    expect(substancePart(readProposal(`${TEXTS.good}\n${padding}`), brief.task).value).toBeLessThan(once);
  });

  it("take the middle of two medians", () => {
    expect([median([]), median([3]), median([1, 2]), median([9, 1, 2])]).toEqual([undefined, 3, 1.5, 2]);
  });
});

describe("a review is read", () => {
  const rubric = [{ name: "safety", weight: 1 }];
  const table: readonly (readonly [string, ReturnType<typeof readReview>])[] = [
    [reviewOf("Good.", 0.7, { safety: 0.4, other: 1 }), { text: "Good.", score: 0.7, items: { safety: 0.4 } }],
    [`<think>hm</think>\n\`\`\`json\n${reviewOf("Good.", 1)}\n\`\`\``, { text: "Good.", score: 1, items: {} }],
    ['{"text": "Eight of ten", "score": 8}', { text: "Eight of ten", score: undefined, items: {} }],
    ['{"text": "Half", "score": "0.5", "items": [1]}', { text: "Half", score: undefined, items: {} }],
    ['{"text": "Bad item", "score": 0, "items": {"safety": "high"}}', { text: "Bad item", score: 0, items: {} }],
    ["Just words.", { text: "Just words.", score: undefined, items: {} }],
    ["<think>never done", undefined],
    ["", undefined],
  ];
  it.each(table)("%j", (reply, expected) => {
    expect(readReview(reply, { rubric })).toEqual(expected);
  });
});
