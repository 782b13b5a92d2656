import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";

const client = new OpenAI({
  apiKey: process.env.TOLLGATE_API_KEY,
  baseURL: process.env.TOLLGATE_BASE_URL,
});
const messages = [{ role: "user", content: "Four score" }];
const audio = await toFile(Buffer.from([0xff, 0xfb, 0x00, 0x80]), "speech.mp3");
const image = await toFile(Buffer.from("\x89PNG\r\n\x1a\n\xff\x00", "latin1"), "a.png", { type: "image/png" });

const chat = await client.chat.completions.create({ model: "echo", messages });
assert.equal(chat.choices[0].message.content, "Four score");
let streamed = "";
for await (const chunk of await client.chat.completions.create({ model: "echo", messages, stream: true })) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
}
assert.equal(streamed, "Four score");
const response = await client.responses.create({ model: "echo", input: "Four score" });
assert.equal(response.output_text, "Four score");
const types = [];
for await (const event of await client.responses.create({ model: "echo", input: "x", stream: true })) types.push(event.type);
assert.equal(types.at(-1), "response.completed");
const completion = await client.completions.create({ model: "echo", prompt: "Four score" });
assert.equal(completion.choices[0].text, "Four score");
const embeddings = await client.embeddings.create({ model: "text-embedding-3-small", input: ["a", "b"] });
assert.equal(embeddings.data.length, 2);
const moderation = await client.moderations.create({ model: "omni-moderation-latest", input: "a" });
assert.equal(moderation.results[0].flagged, false);
const made = await client.images.generate({ model: "gpt-image-2", prompt: "A gate", n: 2 });
assert.equal(made.data.length, 2);
const edited = await client.images.edit({ model: "gpt-image-2", prompt: "Snow", image: [image, image] });
assert.ok(edited.data[0].b64_json);
const transcript = await client.audio.transcriptions.create({ model: "whisper-1", file: audio });
assert.equal(transcript.text, "Four score");
const translation = await client.audio.translations.create({ model: "whisper-1", file: audio });
assert.equal(translation.text, "Four score");
const speech = await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Four score" });
assert.equal((await speech.arrayBuffer()).byteLength, 1024);
const models = await client.models.list();
assert.ok(models.data.some((model) => model.id === "echo"));
assert.equal((await client.models.retrieve("echo")).id, "echo");
await assert.rejects(client.chat.completions.create({ model: "echo", messages: [] }), { status: 400, param: "messages" });
console.log("ok");
