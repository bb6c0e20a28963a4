// The environment of one actor's process or thread: the only place here that may touch it.

/**
 * Sets variables for this process, or this thread alone. In a process's main thread libraries and the programs it starts see them as well; in a
 * thread JavaScript and the programs it starts do, native code does not: it has one environment for the whole process.
 */
export function setEnvironment(variables: Readonly<Record<string, string>>): void {
  Object.assign(process.env, variables);
}
