// The TypeScript SDK 2.x.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { use } from './shared.mjs';

const client = new Client({ name: 'client', version: '1' }, { versionNegotiation: { mode: 'auto' } });
await use(client, StdioClientTransport, StreamableHTTPClientTransport);
