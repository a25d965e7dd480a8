// Counts words: the contract by way of jco.

const input = {
    type: "object",
    properties: { text: { type: "string" } },
    required: ["text"],
    additionalProperties: false,
};
const output = { type: "object", properties: { words: { type: "integer" } }, required: ["words"] };

export const tool = {
    describe() {
        return [
            {
                name: "count_words_javascript",
                title: "Count words",
                description: "Counts the words of a text.",
                inputSchema: JSON.stringify(input),
                outputSchema: JSON.stringify(output),
                annotations: { readOnly: true, idempotent: true, openWorld: false },
                risk: "low",
            },
        ];
    },

    check() {
        return undefined;
    },

    call(name, args) {
        if (name !== "count_words_javascript") {
            throw { tag: "not-found", val: name };
        }
        const words = JSON.parse(args).text.split(/\s+/).filter(Boolean).length;
        if (words === 0) {
            throw { tag: "failed", val: "the text has no words" };
        }
        return { content: [{ tag: "text", val: `${words} words` }], structured: JSON.stringify({ words }) };
    },
};
