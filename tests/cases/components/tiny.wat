;; A plugin that compiles in a moment, for tests that compile a thousand times: one tool, `echo`, that gives back its
;; arguments. Written by hand, because what a toolchain puts around it takes a hundred times as long to compile.
(component
  (core module $m
    (memory (export "memory") 1)
    ;; Everything from here on is free.
    (global $free (mut i32) (i32.const 1024))
    ;; What `describe` gives: a list of one definition, at 16.
    (data (i32.const 0) "\10\00\00\00\01\00\00\00")
    ;; The definition: name, title, description, input schema, output schema, four hints, risk.
    (data (i32.const 16)
      "\64\00\00\00\04\00\00\00"                  ;; 4 bytes at 100
      "\00\00\00\00\00\00\00\00\00\00\00\00"
      "\64\00\00\00\04\00\00\00"
      "\6e\00\00\00\11\00\00\00"                  ;; 17 bytes at 110
      "\00\00\00\00\00\00\00\00\00\00\00\00"
      "\00\00\00\00\00\00\00\00"
      "\00")
    (data (i32.const 100) "echo")
    (data (i32.const 110) "{\"type\":\"object\"}")
    ;; What `call` gives, at 200: ok, one piece of content at 240, nothing structured.
    (data (i32.const 208) "\f0\00\00\00\01\00\00\00")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $free))
      (global.set $free (i32.and (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 7)) (i32.const -8)))
      (local.get $at))
    (func (export "describe") (result i32) (i32.const 0))
    (func (export "check") (result i32) (i32.const 300))
    (func (export "call") (param i32 i32 i32 i32) (result i32)
      (i32.store (i32.const 248) (local.get 2))
      (i32.store (i32.const 252) (local.get 3))
      (i32.const 200)))
  (core instance $i (instantiate $m))
  (type $risk (enum "low" "medium" "high"))
  (type $annotations (record
    (field "read-only" (option bool)) (field "destructive" (option bool))
    (field "idempotent" (option bool)) (field "open-world" (option bool))))
  (type $definition (record
    (field "name" string) (field "title" (option string)) (field "description" string)
    (field "input-schema" string) (field "output-schema" (option string))
    (field "annotations" $annotations) (field "risk" $risk)))
  (type $media (record (field "data" (list u8)) (field "mime-type" string)))
  (type $resource-body (variant (case "text" string) (case "blob" (list u8))))
  (type $embedded-resource (record
    (field "uri" string) (field "mime-type" (option string)) (field "body" $resource-body)))
  (type $resource-link (record
    (field "uri" string) (field "name" string) (field "title" (option string))
    (field "description" (option string)) (field "mime-type" (option string)) (field "size" (option u64))))
  (type $content (variant
    (case "text" string) (case "image" $media) (case "audio" $media)
    (case "resource" $embedded-resource) (case "link" $resource-link)))
  (type $output (record (field "content" (list $content)) (field "structured" (option string))))
  (type $wanted (variant
    (case "read-path" string) (case "write-path" string) (case "request" string) (case "secret" string)))
  (type $upstream (record
    (field "message" string) (field "status" (option u16)) (field "retry-after" (option u64))))
  (type $failure (variant
    (case "invalid-arguments" string) (case "not-configured" string) (case "denied" $wanted)
    (case "not-found" string) (case "unasked" string) (case "upstream" $upstream) (case "failed" string)))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (alias core export $i "describe" (core func $core-describe))
  (alias core export $i "check" (core func $core-check))
  (alias core export $i "call" (core func $core-call))
  (func $describe (result (list $definition)) (canon lift (core func $core-describe) (memory $memory)))
  (func $check (result (option string)) (canon lift (core func $core-check) (memory $memory)))
  (func $call (param "name" string) (param "arguments" string) (result (result $output (error $failure)))
    (canon lift (core func $core-call) (memory $memory) (realloc $realloc)))
  (instance $tool
    (export "risk" (type $risk))
    (export "annotations" (type $annotations))
    (export "definition" (type $definition))
    (export "media" (type $media))
    (export "resource-body" (type $resource-body))
    (export "embedded-resource" (type $embedded-resource))
    (export "resource-link" (type $resource-link))
    (export "content" (type $content))
    (export "output" (type $output))
    (export "wanted" (type $wanted))
    (export "upstream" (type $upstream))
    (export "failure" (type $failure))
    (export "describe" (func $describe))
    (export "check" (func $check))
    (export "call" (func $call)))
  (export "bailiwick:tool/tool@0.1.0" (instance $tool)))
