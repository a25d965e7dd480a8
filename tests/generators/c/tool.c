// Counts words: the contract by way of wit-bindgen's C. What is returned is freed by the generated code, so every string
// is a copy.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

static const char NAME[] = "count_words_c";

void exports_bailiwick_tool_tool_describe(exports_bailiwick_tool_tool_list_definition_t *ret) {
    exports_bailiwick_tool_tool_definition_t *one = calloc(1, sizeof *one);
    plugin_string_dup(&one->name, NAME);
    one->title.is_some = true;
    plugin_string_dup(&one->title.val, "Count words");
    plugin_string_dup(&one->description, "Counts the words of a text.");
    plugin_string_dup(&one->input_schema,
                      "{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}},\"required\":[\"text\"],"
                      "\"additionalProperties\":false}");
    one->output_schema.is_some = true;
    plugin_string_dup(&one->output_schema.val,
                      "{\"type\":\"object\",\"properties\":{\"words\":{\"type\":\"integer\"}},\"required\":[\"words\"]}");
    one->annotations.read_only.is_some = true;
    one->annotations.read_only.val = true;
    one->risk = EXPORTS_BAILIWICK_TOOL_TOOL_RISK_LOW;
    ret->ptr = one;
    ret->len = 1;
}

bool exports_bailiwick_tool_tool_check(plugin_string_t *ret) {
    (void)ret;
    return false;
}

// The words of the one string in `{"text":"…"}`: the host has checked that there is nothing else.
static unsigned count(const uint8_t *json, size_t length) {
    size_t at = 0;
    while (at < length && json[at] != ':') at++;
    while (at < length && json[at] != '"') at++;
    unsigned words = 0;
    bool within = false;
    for (at++; at < length && json[at] != '"'; at++) {
        bool space = json[at] == ' ';
        if (json[at] == '\\' && at + 1 < length) {
            at++;
            space = json[at] == 'n' || json[at] == 't' || json[at] == 'r';
        }
        if (!space && !within) words++;
        within = !space;
    }
    return words;
}

bool exports_bailiwick_tool_tool_call(plugin_string_t *name, plugin_string_t *arguments,
                                      exports_bailiwick_tool_tool_output_t *ret,
                                      exports_bailiwick_tool_tool_failure_t *err) {
    if (name->len != strlen(NAME) || memcmp(name->ptr, NAME, name->len) != 0) {
        err->tag = EXPORTS_BAILIWICK_TOOL_TOOL_FAILURE_NOT_FOUND;
        plugin_string_dup_n(&err->val.not_found, (const char *)name->ptr, name->len);
        return false;
    }
    unsigned words = count(arguments->ptr, arguments->len);
    if (words == 0) {
        err->tag = EXPORTS_BAILIWICK_TOOL_TOOL_FAILURE_FAILED;
        plugin_string_dup(&err->val.failed, "the text has no words");
        return false;
    }
    char text[64];
    ret->content.ptr = calloc(1, sizeof *ret->content.ptr);
    ret->content.len = 1;
    ret->content.ptr->tag = EXPORTS_BAILIWICK_TOOL_TOOL_CONTENT_TEXT;
    snprintf(text, sizeof text, "%u words", words);
    plugin_string_dup(&ret->content.ptr->val.text, text);
    ret->structured.is_some = true;
    snprintf(text, sizeof text, "{\"words\":%u}", words);
    plugin_string_dup(&ret->structured.val, text);
    return true;
}
