// Prints what OpenRouter's provider for the AI SDK reads of a whole answer, a stream, and an error.
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { generateText, streamText } from "ai";

const openrouter = createOpenRouter({
  apiKey: process.env.TOLLGATE_API_KEY,
  baseURL: process.env.TOLLGATE_BASE_URL,
});
const model = openrouter("gpt-4o:floor", {
  models: ["gpt-4o-mini"],
  usage: { include: true },
  provider: { sort: "price", data_collection: "allow", max_price: { prompt: 10, completion: 20 } },
  reasoning: { effort: "low" },
  user: "u-1",
});

const whole = await generateText({ model, prompt: "Hello" });
const stream = streamText({ model, prompt: "Tell me a story" });
let streamed = "";
for await (const text of stream.textStream) streamed += text;
const metadata = await stream.providerMetadata;
const failure = await generateText({ model: openrouter("gpt-4o:online"), prompt: "Hello", maxRetries: 0 }).catch((error) => error);

console.log(JSON.stringify({
  whole: whole.text,
  wholeReason: whole.finishReason,
  wholeUsage: whole.providerMetadata.openrouter.usage,
  wholeProvider: whole.providerMetadata.openrouter.provider,
  streamed,
  streamedUsage: metadata.openrouter.usage,
  status: failure.statusCode,
  message: failure.message,
}));
