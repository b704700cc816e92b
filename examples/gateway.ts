/**
 * A program that speaks the provider's protocol and nothing else, through the gateway (docs/gateway.md): submits one
 * Turnstile and prints its token. `GATEWAY_URL=http://captcha-gateway.captcha-system GATEWAY_KEY=… node gateway.ts`
 */
const base = process.env['GATEWAY_URL'] ?? 'http://captcha-gateway.captcha-system';
const key = process.env['GATEWAY_KEY'] ?? '';

async function ask(path: string, fields: Record<string, string>): Promise<string> {
  const body = new URLSearchParams({ key, json: '1', ...fields });
  const reply = await fetch(`${base}/${path}`, { method: 'POST', body });
  const { status, request } = (await reply.json()) as { status: number; request: string };
  if (status !== 1 && request !== 'CAPCHA_NOT_READY') throw new Error(request);
  return request;
}

const sitekey = '0x4AAAAAAADnPIDROrmt1Wwj';
const id = await ask('in.php', { method: 'turnstile', sitekey, pageurl: 'https://example.com/login' });
let answer = 'CAPCHA_NOT_READY';
// The answer is held back until there is one, up to 60 s at a time.
while (answer === 'CAPCHA_NOT_READY') answer = await ask('res.php', { action: 'get', id, wait: '60' });
console.log(answer);
