// What the programs for Node.js have in common.
const settings = JSON.parse(process.argv[2]);

/** Lists, calls, gets a prompt and reads a resource; prints what came as one line of JSON. */
export async function use(client, StdioTransport, HttpTransport) {
  const { url, command, args, env, script, prompt, resource } = settings;
  const stdio = { command, args, env: { ...process.env, ...env }, stderr: 'ignore' };
  await client.connect(url ? new HttpTransport(new URL(url)) : new StdioTransport(stdio));
  const tools = (await client.listTools()).tools.map(tool => tool.name);
  const results = [];
  for (const { tool, arguments: given } of script) {
    const result = await client.callTool({ name: tool, arguments: given });
    results.push(result.content.map(block => block.text ?? '').join(''));
  }
  await client.listPrompts();
  await client.listResources();
  const got = await client.getPrompt({ name: prompt[0], arguments: prompt[1] });
  const read = await client.readResource({ uri: resource });
  await client.close();
  console.log(JSON.stringify({ tools, results, prompt: got.messages[0].content.text, resource: read.contents[0].text }));
}
