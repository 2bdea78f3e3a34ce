//! What components can do, over HTTP/1.1 and HTTP/2.

use crate::support::{Client, Gateway, Protocol};

#[test]
fn hello_answers_on_both_protocols() {
    let gateway = Gateway::with().component("hello").component("hello-min").component("hello-p3").start();
    for component in ["hello", "hello-min", "hello-p3"] {
        let answer = gateway.get(component, "/");
        assert!(answer.is(200).text().starts_with("Hello"), "{answer:?}");
        for protocol in [Protocol::H1, Protocol::H2] {
            let answer = Client::connect(protocol, gateway.address()).get(component, "/");
            assert!(answer.status == 200 && answer.text().starts_with("Hello"), "{answer:?}");
        }
    }
}
