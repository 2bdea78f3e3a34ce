//! `imports-unknown`: needs `example:nowhere/thing@1.0.0`, which no host serves. The gateway refuses
//! it at load, not at the first request.

use support::{Request, Responder};

use bindings::example::nowhere::thing;

support::serve!(answer);

mod bindings {
    #![allow(unsafe_code, unreachable_pub, reason = "the generator's output")]

    wit_bindgen::generate!({
        inline: r#"
            package example:nowhere@1.0.0;

            interface thing {
                answer: func(question: string) -> string;
            }

            world imports {
                import thing;
            }
        "#,
    });
}

fn answer(request: Request, out: Responder) {
    out.text(200, &thing::answer(&request.path()));
}
