// The AsyncAPI 3 document of the channels, made from what the code itself parses by: nothing in it is written twice.
// It is not kept by hand: docs/asyncapi.yaml is its output, and a test compares the two.

import { z } from "zod";
import { CHANNELS, type Channel, type EventType, type Party } from "./channels.ts";
import { envelopeSchema } from "./envelope.ts";

/** Plain data, as JSON. */
type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Fields = { readonly [key: string]: Json };

/** The document as plain data. `version`: of flotilla. */
export function asyncApi(version: string): Fields {
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Flotilla's services",
      version,
      description:
        "What the services of a fleet tell each other over NATS JetStream. A topic t is the subject PREFIX.events.topic.t of the stream " +
        "PREFIX_events; PREFIX is the fleet's, by default flotilla. Every message is one JSON object: the envelope below.",
    },
    defaultContentType: "application/json",
    servers: { fleet: { host: "127.0.0.1:4222", protocol: "nats", description: "The fleet's NATS server." } },
    channels: Object.fromEntries(CHANNELS.map((channel) => [nameOf(channel), channelOf(channel)])),
    operations: Object.fromEntries(CHANNELS.flatMap(operationsOf)),
    components: {
      messages: Object.fromEntries(CHANNELS.flatMap(messagesOf)),
      schemas: { envelope: schemaOf(envelopeSchema) },
    },
  };
}

const nameOf = ({ address }: Channel): string =>
  address.replace(/[^A-Za-z0-9]+(\w)?/g, (_, next = "") => String(next).toUpperCase());
const messageName = (type: string): string => type.replace(/\W(\w)/g, (_, next: string) => next.toUpperCase());

function channelOf(channel: Channel): Fields {
  const parameters = [...channel.address.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => [name, {}] as const);
  const messages = Object.keys(channel.types).map((type) => [
    messageName(type),
    { $ref: `#/components/messages/${messageName(type)}` },
  ]);
  return {
    address: channel.address,
    description: channel.audience === undefined ? channel.summary : `${channel.summary} Also for ${channel.audience}.`,
    "x-stream": "PREFIX_events",
    ...(parameters.length > 0 && { parameters: Object.fromEntries(parameters) }),
    messages: Object.fromEntries(messages),
  };
}

function operationsOf(channel: Channel): [string, Fields][] {
  const operation =
    (action: "send" | "receive") =>
    (party: Party): [string, Fields] => [
      `${messageName(party.replace("-", "."))}${action === "send" ? "Sends" : "Receives"}${capital(nameOf(channel))}`,
      {
        action,
        channel: { $ref: `#/channels/${nameOf(channel)}` },
        summary: `${party} ${action}s on ${channel.address}`,
      },
    ];
  return [...channel.producers.map(operation("send")), ...channel.consumers.map(operation("receive"))];
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const messagesOf = ({ types }: Channel): [string, Fields][] =>
  Object.entries(types).map(([type, { summary, version, data }]: [string, EventType]) => [
    messageName(type),
    {
      name: type,
      summary,
      payload: {
        allOf: [
          { $ref: "#/components/schemas/envelope" },
          { properties: { type: { const: type }, schemaVersion: { const: version }, data: schemaOf(data) } },
        ],
      },
    },
  ]);

const schemaOf = (schema: z.ZodType): Fields => {
  const { $schema: _, ...fields } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return fields as Fields;
};
