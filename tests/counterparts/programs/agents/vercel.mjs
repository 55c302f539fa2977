// Vercel's AI SDK.
import { createMCPClient } from '@ai-sdk/mcp';
import { Experimental_StdioMCPTransport as StdioTransport } from '@ai-sdk/mcp/mcp-stdio';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, stepCountIs } from 'ai';

const { url, command, args, env, model, prompt, resource } = JSON.parse(process.argv[2]);
const transport = url
  ? { type: 'http', url }
  : new StdioTransport({ command, args, env: { ...process.env, ...env } });
const client = await createMCPClient({ transport });
const provider = createOpenAICompatible({ name: 'scripted', baseURL: model, apiKey: 'none' });
try {
  const got = await client.getPrompt({ name: prompt[0], arguments: prompt[1] });
  const read = await client.readResource({ uri: resource });
  console.log(JSON.stringify({ prompt: got.messages[0].content.text, resource: read.contents[0].text }));
  await generateText({
    model: provider.chatModel('scripted'),
    tools: await client.tools(),
    stopWhen: stepCountIs(8),
    prompt: 'Follow the script.',
  });
} finally {
  await client.close();
}
