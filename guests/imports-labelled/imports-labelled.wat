;; `imports-labelled`: imports `wasi:config/store@0.2.0-rc.1` twice, under the labels `first` and
;; `second`, and exports a 0.2 handler that calls both and traps. The gateway refuses it at load.
;;
;; It is text because the linker of our Rust cannot make it: wit-bindgen writes the labels, and
;; wasm-component-ld 0.5.21 stops at them.
(component
  (import "wasi:http/types@0.2.12" (instance $types
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $types "incoming-request" (type $incoming-request))
  (alias export $types "response-outparam" (type $response-outparam))

  (type $store (instance
    (type $error' (variant (case "upstream" string) (case "io" string)))
    (export "error" (type $error (eq $error')))
    (export "get" (func (param "key" string) (result (result (option string) (error $error)))))))
  (import "first" (implements "wasi:config/store@0.2.0-rc.1") (instance $first (type $store)))
  (import "second" (implements "wasi:config/store@0.2.0-rc.1") (instance $second (type $store)))

  ;; The memory and what allocates in it come first, because the calls out need them.
  (core module $memory
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $linear))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $first-get (canon lower (func $first "get") (memory $linear) (realloc $realloc)))
  (core func $second-get (canon lower (func $second "get") (memory $linear) (realloc $realloc)))

  (core module $handler
    (import "first" "get" (func $first (param i32 i32 i32)))
    (import "second" "get" (func $second (param i32 i32 i32)))
    (func (export "handle") (param i32 i32)
      (call $first (i32.const 0) (i32.const 0) (i32.const 16))
      (call $second (i32.const 0) (i32.const 0) (i32.const 16))
      unreachable))
  (core instance $handler (instantiate $handler
    (with "first" (instance (export "get" (func $first-get))))
    (with "second" (instance (export "get" (func $second-get))))))
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
  (export "wasi:http/incoming-handler@0.2.12" (instance $exported)))
