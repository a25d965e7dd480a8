;; Grows its table by as much as it can name, then step by step for as long as it is let.
(core module $main-module
  (import "lib" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "lib" "post-return" (func $post-return (param i32)))
  (import "lib" "nothing" (func $nothing (result i32)))
  (export "realloc" (func $realloc))
  (export "post-return" (func $post-return))
  (table $t 1 funcref)
  (func (export "call") (param i32 i32 i32 i32) (result i32)
    (if (i32.ne (table.grow $t (ref.null func) (i32.const -1)) (i32.const -1)) (then (unreachable)))
    (if (i32.ne (table.grow $t (ref.null func) (i32.const 0x7fffffff)) (i32.const -1)) (then (unreachable)))
    (loop $more (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 100)) (i32.const -1))))
    (call $nothing)))
(core instance $main (instantiate $main-module (with "lib" (instance $lib))))
