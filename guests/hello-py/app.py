"""`hello-py`: an answer over wasi:http 0.2, from CPython inside the component."""

from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports.types import Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam

TEXT = b"Hello from Python!\n"


# componentize-py looks for a class with the exported interface's name.
class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        response = OutgoingResponse(Fields.from_list([("content-type", b"text/plain")]))
        body = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        # Leaving the block drops the stream, which has to be gone before the body is finished. One call of
        # blocking_write_and_flush takes at most 4096 bytes.
        with body.write() as stream:
            stream.blocking_write_and_flush(TEXT)
        OutgoingBody.finish(body, None)
