// Reflection: tells clients that have none of our files what services and messages there are (grpc.reflection.v1, and its older form).
// It answers from the descriptors of the generated files, and only of the services that its port has.

import { type DescFile, type DescMessage, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import { ServerReflection, type ServerReflectionRequest } from "../proto/gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionV1Alpha } from "../proto/gen/grpc/reflection/v1alpha/reflection_pb.js";

export const REFLECTION_SERVICES: readonly DescService[] = [ServerReflection, ServerReflectionV1Alpha];

type Question = ServerReflectionRequest["messageRequest"];

/** The implementation, the same for both forms. */
export function reflectionServices(services: readonly DescService[]): {
  readonly v1: ServiceImpl<typeof ServerReflection>;
  readonly v1alpha: ServiceImpl<typeof ServerReflectionV1Alpha>;
} {
  const answer = answers(services);
  return {
    v1: {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) {
          const { host, messageRequest } = request;
          yield { validHost: host, originalRequest: request, messageResponse: answer(messageRequest) };
        }
      },
    },
    v1alpha: {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) {
          const { host, messageRequest } = request;
          // The two forms differ in their names only, which an answer does not carry.
          const messageResponse = answer(messageRequest as Question);
          yield { validHost: host, originalRequest: request, messageResponse };
        }
      },
    },
  };
}

function answers(services: readonly DescService[]) {
  const files = new Map<string, DescFile>();
  for (const { file } of services) for (const each of withImports(file)) files.set(`${each.name}.proto`, each);
  const symbols = new Map([...files.values()].flatMap((file) => symbolsOf(file).map((name) => [name, file] as const)));
  const names = services.map(({ typeName: name }) => ({ name })).sort((a, b) => (a.name < b.name ? -1 : 1));
  const described = (file: DescFile | undefined, what: string) => {
    if (file === undefined) return notFound(what);
    const fileDescriptorProto = withImports(file).map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto } } as const;
  };
  return (question: Question) => {
    switch (question.case) {
      case "listServices":
        return { case: "listServicesResponse", value: { service: names } } as const;
      case "fileByFilename":
        return described(files.get(question.value), `the file ${question.value}`);
      case "fileContainingSymbol":
        return described(symbols.get(question.value), `the symbol ${question.value}`);
      case "fileContainingExtension":
        return notFound(`an extension of ${question.value.containingType}`);
      case "allExtensionNumbersOfType":
        return notFound(`extensions of ${question.value}`);
      default:
        return error(Code.InvalidArgument, "the question is none of those that there are");
    }
  };
}

const error = (errorCode: Code, errorMessage: string) =>
  ({ case: "errorResponse", value: { errorCode, errorMessage } }) as const;

const notFound = (what: string) => error(Code.NotFound, `there is no such thing here: ${what.slice(0, 200)}`);

/** A file after everything that it imports, each once. */
function withImports(file: DescFile, seen: ReadonlySet<DescFile> = new Set()): DescFile[] {
  const before = new Set(seen);
  const imported = file.dependencies.flatMap((each) => {
    if (before.has(each)) return [];
    const found = withImports(each, before);
    for (const one of found) before.add(one);
    return found;
  });
  return [...imported, file];
}

function symbolsOf({ messages, enums, services }: DescFile): string[] {
  const ofMessage = (message: DescMessage): string[] => [
    message.typeName,
    ...message.fields.map(({ name }) => `${message.typeName}.${name}`),
    ...message.oneofs.map(({ name }) => `${message.typeName}.${name}`),
    ...message.nestedMessages.flatMap(ofMessage),
    ...message.nestedEnums.map(({ typeName }) => typeName),
  ];
  const ofService = ({ typeName, methods }: DescService) => [
    typeName,
    ...methods.map(({ name }) => `${typeName}.${name}`),
  ];
  return [...messages.flatMap(ofMessage), ...enums.map(({ typeName }) => typeName), ...services.flatMap(ofService)];
}
