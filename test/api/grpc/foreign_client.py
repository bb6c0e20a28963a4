# A client without any of our files: learns the services by reflection and makes the calls that it reads from stdin, a JSON object each
# line: {"service", "method", "request"}. Writes one JSON object for each: {"code", "message"?, "details"?, "replies"}.
# Arguments: address, token.

import json
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


class Token(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor):
    def __init__(self, token):
        self.metadata = (("authorization", f"Bearer {token}"),)

    def _with_token(self, call, details, request):
        details = details._replace(metadata=self.metadata) if hasattr(details, "_replace") else details
        return call(details, request)

    intercept_unary_unary = _with_token
    intercept_unary_stream = _with_token
    intercept_stream_stream = _with_token


def main():
    address, token = sys.argv[1:3]
    plain = grpc.insecure_channel(address)
    channel = grpc.intercept_channel(plain, Token(token))
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    for line in sys.stdin:
        call = json.loads(line)
        print(json.dumps(make(channel, pool, call)), flush=True)


def make(channel, pool, call):
    service = pool.FindServiceByName(call["service"])
    method = service.FindMethodByName(call["method"])
    request_type = message_factory.GetMessageClass(method.input_type)
    reply_type = message_factory.GetMessageClass(method.output_type)
    request = json_format.ParseDict(call["request"], request_type())
    path = f"/{service.full_name}/{method.name}"
    kind = channel.unary_stream if method.server_streaming else channel.unary_unary
    stub = kind(path, request_serializer=request_type.SerializeToString, response_deserializer=reply_type.FromString)
    try:
        answer = stub(request, timeout=call.get("timeout", 10))
        replies = list(answer) if method.server_streaming else [answer]
        return {"code": "OK", "replies": [json_format.MessageToDict(reply) for reply in replies]}
    except grpc.RpcError as error:
        status = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
        return {"code": error.code().name, "message": error.details(), "details": len(status), "replies": []}


main()
