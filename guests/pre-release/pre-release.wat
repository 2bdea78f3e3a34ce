;; `pre-release`: exports the handler of a WASI 0.3 that was not released yet, under its name of that time. The gateway
;; refuses it at load: a pre-release is none but itself.
(component
  (instance $handler)
  (export "wasi:http/handler@0.3.0-rc-2026-02-09" (instance $handler)))
