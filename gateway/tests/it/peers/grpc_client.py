"""A gRPC client that calls grpc_server.py: grpc_client.py TARGET CA-OR-DASH SCENARIO... names each that has held."""

import hashlib
import sys
import threading
import time

import grpc

PATIENCE = 30


def call(channel, kind, method):
    return getattr(channel, kind)(f"/tidegate.Peer/{method}")


def unary(channel):
    method = call(channel, "unary_unary", "Unary")
    metadata = (("asked", "this"), ("asked-bin", b"\x00\xff\x80"))
    answer, outcome = method.with_call(b"hello", timeout=PATIENCE, metadata=metadata)
    assert answer == b"hello", answer
    assert outcome.code() == grpc.StatusCode.OK
    first, trailing = dict(outcome.initial_metadata()), dict(outcome.trailing_metadata())
    assert first["first"] == "head", first
    assert "grpc-python" in first["agent"], first
    assert trailing["asked"] == "this" and trailing["asked-bin"] == b"\x00\xff\x80", trailing
    assert trailing["via"] == "2.0 tidegate" and trailing["forwarded-for"] == "127.0.0.1", trailing
    assert method(b"", timeout=PATIENCE) == b""


def down(channel):
    answers = list(call(channel, "unary_stream", "Down")(b"500 1000", timeout=PATIENCE))
    assert [int.from_bytes(answer[:4], "big") for answer in answers] == list(range(500))
    assert all(len(answer) == 1004 for answer in answers)
    assert list(call(channel, "unary_stream", "Down")(b"0 0", timeout=PATIENCE)) == []


def up(channel):
    messages = [bytes([number % 256]) * 5000 for number in range(400)]
    digest = hashlib.sha256(b"".join(messages)).hexdigest().encode()
    answer = call(channel, "stream_unary", "Up")(iter(messages), timeout=PATIENCE)
    assert answer == b"400 " + digest, answer
    answer = call(channel, "stream_unary", "Up")(iter([]), timeout=PATIENCE)
    assert answer.startswith(b"0 "), answer


class Turns:
    """Messages that are sent one by one, each when the answer to the one before it is there."""

    def __init__(self):
        self.ready = threading.Semaphore(0)
        self.messages, self.is_over = [], False

    def send(self, message):
        self.messages.append(message)
        self.ready.release()

    def end(self):
        self.is_over = True
        self.ready.release()

    def __iter__(self):
        while True:
            self.ready.acquire()
            if self.messages:
                yield self.messages.pop(0)
            elif self.is_over:
                return


def talk(channel):
    turns = Turns()
    answers = call(channel, "stream_stream", "Talk")(iter(turns), timeout=PATIENCE)
    for number in range(100):
        turns.send(b"%d" % number)
        assert next(answers) == b"re %d" % number
    turns.end()
    assert list(answers) == []
    assert answers.code() == grpc.StatusCode.OK
    silent = call(channel, "stream_stream", "Silent")(iter([b"x"] * 50), timeout=PATIENCE)
    assert list(silent) == [b"s"] * 50


def failed(what):
    try:
        what()
    except grpc.RpcError as error:
        return error
    raise AssertionError("it did not fail")


def errors(channel):
    error = failed(lambda: call(channel, "unary_unary", "Fail")(b"", timeout=PATIENCE))
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
    assert error.details() == "d\u00e9j\u00e0 vu 100%", error
    assert dict(error.trailing_metadata())["why"] == "because", error
    answers = call(channel, "unary_stream", "FailLate")(b"", timeout=PATIENCE)
    assert [next(answers), next(answers)] == [b"one", b"two"]
    error = failed(lambda: next(answers))
    assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "no three"), error
    error = failed(lambda: call(channel, "unary_unary", "Missing")(b"", timeout=PATIENCE))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error


def deadline(channel):
    left = float(call(channel, "unary_unary", "Remaining")(b"", timeout=25))
    # On the wire it is a whole number of some unit, rounded up.
    assert 20 < left <= 26, left
    began = time.monotonic()
    answers = call(channel, "unary_stream", "Hang")(b"", timeout=0.5)
    assert next(answers) == b"here"
    error = failed(lambda: next(answers))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    assert time.monotonic() - began < 10
    assert call(channel, "unary_unary", "Cancels")(b"", timeout=PATIENCE) == b"yes"


def cancel(channel):
    answers = call(channel, "unary_stream", "Hang")(b"", timeout=PATIENCE)
    assert next(answers) == b"here"
    answers.cancel()
    assert call(channel, "unary_unary", "Cancels")(b"", timeout=PATIENCE) == b"yes"


def large(channel):
    message = bytes(range(256)) * (48 * 1024)
    answer = call(channel, "unary_unary", "Unary")(message, timeout=PATIENCE)
    assert answer == message, len(answer)
    digest = hashlib.sha256(message * 4).hexdigest().encode()
    answer = call(channel, "stream_unary", "Up")(iter([message] * 4), timeout=PATIENCE)
    assert answer == b"4 " + digest, answer
    total = sum(len(answer) for answer in call(channel, "unary_stream", "Down")(b"4 12000000", timeout=PATIENCE))
    assert total == 4 * 12000004, total


def many(channel):
    """A hundred conversations at once, all open before the first one goes on."""
    talks = []
    for _ in range(100):
        turns = Turns()
        talks.append((turns, call(channel, "stream_stream", "Talk")(iter(turns), timeout=PATIENCE)))
    for number in range(5):
        for index, (turns, _) in enumerate(talks):
            turns.send(b"%d %d" % (index, number))
        for index, (_, answers) in enumerate(talks):
            assert next(answers) == b"re %d %d" % (index, number)
    for turns, answers in talks:
        turns.end()
        assert list(answers) == []


def unavailable(channel):
    error = failed(lambda: call(channel, "unary_unary", "Unary")(b"", timeout=PATIENCE))
    assert error.code() == grpc.StatusCode.UNAVAILABLE, error


def idle(channel):
    """A conversation in which nobody says anything for longer than a server lets a peer ping that has nothing to say.

    For people, since it takes so long: with timeout.idle and body_idle_timeout at ten minutes."""
    turns = Turns()
    answers = call(channel, "stream_stream", "Talk")(iter(turns), timeout=300)
    for number in range(2):
        turns.send(b"%d" % number)
        assert next(answers) == b"re %d" % number
        if number == 0:
            time.sleep(75)
    turns.end()
    assert list(answers) == []


def main(target, ca, scenarios):
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    if ca == "-":
        channel = grpc.insecure_channel(target, options)
    else:
        credentials = grpc.ssl_channel_credentials(open(ca, "rb").read())
        options.append(("grpc.ssl_target_name_override", "edge.test"))
        channel = grpc.secure_channel(target, credentials, options)
    with channel:
        for scenario in scenarios:
            globals()[scenario](channel)
            print(scenario)


main(sys.argv[1], sys.argv[2], sys.argv[3:])
