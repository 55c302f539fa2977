// Lists everything with the official TypeScript SDKs, and calls a tool: `node list_all.mjs TARGET TOOL`.
// TARGET is JSON: {"url"}, or {"command", "env"}. It prints a JSON object: what each client has seen.
import { Client as Client2, StreamableHTTPClientTransport as Http2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as Stdio2 } from '@modelcontextprotocol/client/stdio';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as Stdio1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const target = JSON.parse(process.argv[2]);
const info = { name: 'list-all', version: '1' };
const open = (Http, Stdio) =>
  target.url ? new Http(new URL(target.url)) : new Stdio({ command: target.command, env: target.env, stderr: 'ignore' });
const clients = {
  'sdk 1': [() => new Client1(info), Http1, Stdio1],
  'sdk 2, handshake': [() => new Client2(info), Http2, Stdio2],
  'sdk 2, modern': [() => new Client2(info, { versionNegotiation: { mode: 'auto' } }), Http2, Stdio2],
};

async function all(ask, field) {
  const found = [];
  let cursor;
  do {
    const page = await ask(cursor === undefined ? undefined : { cursor });
    found.push(...page[field]);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return found;
}

console.warn = () => {}; // ajv tells of formats that it does not know
const seen = {};
for (const [name, [make, Http, Stdio]] of Object.entries(clients)) {
  const client = make();
  try {
    await client.connect(open(Http, Stdio));
    seen[name] = {
      tools: await all(params => client.listTools(params), 'tools'),
      prompts: await all(params => client.listPrompts(params), 'prompts'),
      resources: await all(params => client.listResources(params), 'resources'),
      templates: await all(params => client.listResourceTemplates(params), 'resourceTemplates'),
      called: await client.callTool({ name: process.argv[3], arguments: {} }),
    };
  } catch (error) {
    seen[name] = { error: String(error) };
  }
  await client.close();
}
process.stdout.write(JSON.stringify(seen), () => process.exit(0));
