;; The start function of a module never ends, once the plugin has an environment: when it is looked at it has none.
(import "wasi:cli/environment@0.2.0" (instance $environment
  (export "get-environment" (func (result (list (tuple string string)))))))
(core func $get-environment (canon lower (func $environment "get-environment")
  (memory (core memory $lib "memory")) (realloc (core func $lib "realloc"))))
(core instance $host (export "get-environment" (func $get-environment)))
(core module $main-module
  (import "lib" "memory" (memory 1))
  (import "host" "get-environment" (func $get-environment (param i32)))
  (import "lib" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "lib" "post-return" (func $post-return (param i32)))
  (import "lib" "nothing" (func $nothing (result i32)))
  (export "realloc" (func $realloc))
  (export "post-return" (func $post-return))
  (export "call" (func $call))
  (func $start
    (call $get-environment (i32.const 1024))
    (if (i32.load (i32.const 1028)) (then (loop $for-ever (br $for-ever)))))
  (start $start)
  (func $call (param i32 i32 i32 i32) (result i32) (call $nothing)))
(core instance $main (instantiate $main-module (with "lib" (instance $lib)) (with "host" (instance $host))))
