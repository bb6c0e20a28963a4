// What the examples with a fleet read from the environment: the server to use in place of one of their own.

export function fleetVariables(environment: NodeJS.ProcessEnv = process.env) {
  const { FLOTILLA_SERVERS: servers, FLOTILLA_PREFIX: prefix } = environment;
  return { ...(servers && { servers }), ...(prefix && { prefix }) };
}

/** The environment of a node: the address holds a password, so it is no argument. */
export const nodeVariables = (servers: string, environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv => ({
  ...environment,
  FLOTILLA_SERVERS: servers,
});
