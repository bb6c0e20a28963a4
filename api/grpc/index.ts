// The RPC door, as the commands see it. Other folders import api/grpc/ from here only.

export type { ClientsFor, DoorClients } from "./call.ts";
export type { Coach } from "./coach-service.ts";
export {
  DOOR_SERVICES,
  type DoorAddress,
  type DoorService,
  type GrpcDoor,
  type GrpcDoorOptions,
  openGrpcDoor,
} from "./door.ts";
export { keepToken } from "./token.ts";
