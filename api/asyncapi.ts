// `flotilla asyncapi`: prints the AsyncAPI 3 document of the services' channels, for whoever writes a program that listens to them.

import type { Command } from "commander";
import type { Terminal } from "./cli.ts";

export function addAsyncApiCommand(program: Command, { out }: Terminal, done: (status: number) => void): void {
  program
    .command("asyncapi")
    .description("print the AsyncAPI 3 document of what the services tell each other")
    .allowExcessArguments(false)
    .action(async () => {
      const [{ asyncApi }, { stringify }] = await Promise.all([
        (await import("../actors/index.ts")).loadServices(),
        import("yaml"),
      ]);
      out.write(stringify(asyncApi(program.version() ?? ""), { lineWidth: 0, aliasDuplicateObjects: false }));
      done(0);
    });
}
