;; `built-for-0-2-0`: imports and exports wasi:http@0.2.0, the first release of WASI 0.2, and its handler traps.
;; The gateway serves it as it serves every later 0.2: releases of one series stand in for one another.
;;
;; It is text because the guests in Rust are built against the newest 0.2.
(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $types "incoming-request" (type $incoming-request))
  (alias export $types "response-outparam" (type $response-outparam))

  (core module $handler
    (func (export "handle") (param i32 i32)
      unreachable))
  (core instance $handler (instantiate $handler))
  (func $handle (param "request" (own $incoming-request)) (param "response-out" (own $response-outparam))
    (canon lift (core func $handler "handle")))

  (component $incoming-handler
    (import "incoming-request" (type $request (sub resource)))
    (import "response-outparam" (type $outparam (sub resource)))
    (import "handle" (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))))
    (export "handle" (func $handle)))
  (instance $exported (instantiate $incoming-handler
    (with "incoming-request" (type $incoming-request))
    (with "response-outparam" (type $response-outparam))
    (with "handle" (func $handle))))
  (export "wasi:http/incoming-handler@0.2.0" (instance $exported)))
