;; One module initialises another, as a reactor's `_initialize` is called, and never ends once there is an environment.
(import "wasi:cli/environment@0.2.0" (instance $environment
  (export "get-environment" (func (result (list (tuple string string)))))))
(core func $get-environment (canon lower (func $environment "get-environment")
  (memory (core memory $lib "memory")) (realloc (core func $lib "realloc"))))
(core instance $host (export "get-environment" (func $get-environment)))
(core module $reactor-module
  (import "lib" "memory" (memory 1))
  (import "host" "get-environment" (func $get-environment (param i32)))
  (func (export "_initialize")
    (call $get-environment (i32.const 1024))
    (if (i32.load (i32.const 1028)) (then (loop $for-ever (br $for-ever))))))
(core instance $reactor (instantiate $reactor-module (with "lib" (instance $lib)) (with "host" (instance $host))))
(core module $main-module
  (import "reactor" "_initialize" (func $initialize))
  (import "lib" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "lib" "post-return" (func $post-return (param i32)))
  (import "lib" "nothing" (func $nothing (result i32)))
  (export "realloc" (func $realloc))
  (export "post-return" (func $post-return))
  (export "call" (func $call))
  (start $initialize)
  (func $call (param i32 i32 i32 i32) (result i32) (call $nothing)))
(core instance $main (instantiate $main-module (with "lib" (instance $lib)) (with "reactor" (instance $reactor))))
