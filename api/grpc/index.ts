// The RPC door, as the rest of api/ sees it.

export { DOOR_SERVICES, type DoorService, type GrpcDoor, openGrpcDoor } from "./door.ts";
export { keepToken } from "./token.ts";
