;; It answers, and never ends cleaning up after its answer.
(core module $main-module
  (import "lib" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "lib" "nothing" (func $nothing (result i32)))
  (export "realloc" (func $realloc))
  (func (export "post-return") (param i32) (loop $for-ever (br $for-ever)))
  (func (export "call") (param i32 i32 i32 i32) (result i32) (call $nothing)))
(core instance $main (instantiate $main-module (with "lib" (instance $lib))))
