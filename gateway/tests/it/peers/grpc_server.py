"""A gRPC server without protobuf: bytes in, bytes out. With a certificate and its key as arguments it speaks TLS."""

import hashlib
import sys
import threading
from concurrent import futures

import grpc

cancelled = threading.Semaphore(0)


def unary(request, context):
    asked = dict(context.invocation_metadata())
    context.send_initial_metadata((("first", "head"), ("agent", asked.get("user-agent", ""))))
    context.set_trailing_metadata((
        ("asked", asked.get("asked", "")),
        ("asked-bin", asked.get("asked-bin", b"")),
        ("authority", context.host() if hasattr(context, "host") else ""),
        ("via", asked.get("via", "")),
        ("forwarded-for", asked.get("x-forwarded-for", "")),
    ))
    return request


def down(request, context):
    count, size = map(int, request.split())
    for number in range(count):
        yield number.to_bytes(4, "big") + b"d" * size


def up(requests, context):
    digest, count = hashlib.sha256(), 0
    for request in requests:
        digest.update(request)
        count += 1
    return b"%d %s" % (count, digest.hexdigest().encode())


def talk(requests, context):
    for request in requests:
        yield b"re " + request


def fail(request, context):
    context.set_trailing_metadata((("why", "because"),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "d\u00e9j\u00e0 vu 100%")


def fail_late(request, context):
    yield b"one"
    yield b"two"
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no three")


def remaining(request, context):
    left = context.time_remaining()
    return b"none" if left is None else b"%f" % left


def hang(request, context):
    """Ends when the client has cancelled, which the next call of `cancels` waits for."""
    gone = threading.Event()

    # A cancel that comes at once finds nobody who waits: what is yielded may not be sent yet, and then nothing behind
    # it is run.
    def end():
        gone.set()
        cancelled.release()

    context.add_callback(end)
    yield b"here"
    gone.wait(20)


def cancels(request, context):
    return b"yes" if cancelled.acquire(timeout=10) else b"no"


def silent(requests, context):
    """Takes everything, says nothing until the client has finished, then as much."""
    count = sum(1 for _ in requests)
    for _ in range(count):
        yield b"s"


METHODS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Down": grpc.unary_stream_rpc_method_handler(down),
    "Up": grpc.stream_unary_rpc_method_handler(up),
    "Talk": grpc.stream_stream_rpc_method_handler(talk),
    "Silent": grpc.stream_stream_rpc_method_handler(silent),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "FailLate": grpc.unary_stream_rpc_method_handler(fail_late),
    "Remaining": grpc.unary_unary_rpc_method_handler(remaining),
    "Hang": grpc.unary_stream_rpc_method_handler(hang),
    "Cancels": grpc.unary_unary_rpc_method_handler(cancels),
}


class Peer(grpc.GenericRpcHandler):
    def service(self, details):
        service, method = details.method.strip("/").split("/")
        return METHODS.get(method) if service == "tidegate.Peer" else None


def main(arguments):
    server = grpc.server(
        futures.ThreadPoolExecutor(160),
        handlers=[Peer()],
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    if arguments:
        certificate, key = (open(path, "rb").read() for path in arguments)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print("port", port)
    server.wait_for_termination()


main(sys.argv[1:])
