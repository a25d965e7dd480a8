;; Takes 900 MiB of memory and writes all of it, again and again, a whole memory at a time.
(core module $main-module
  (import "lib" "memory" (memory 1))
  (import "lib" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "lib" "post-return" (func $post-return (param i32)))
  (export "realloc" (func $realloc))
  (export "post-return" (func $post-return))
  (func (export "call") (param i32 i32 i32 i32) (result i32)
    (local $all i32)
    ;; 900 MiB: to ask for more than there may be would end it otherwise.
    (if (i32.eq (memory.grow (i32.const 14400)) (i32.const -1)) (then (unreachable)))
    (local.set $all (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 4096)))
    (loop $again
      (memory.fill (i32.const 4096) (i32.const 0xa5) (local.get $all))
      (memory.copy (i32.const 4096) (i32.const 8192) (i32.sub (local.get $all) (i32.const 4096)))
      (br $again))
    (unreachable)))
(core instance $main (instantiate $main-module (with "lib" (instance $lib))))
