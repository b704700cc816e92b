// One captcha from a program: `npm install captcha-operator`, then `node solve.mjs`, in a pod or beside a kubeconfig.
// It needs `create`, `get`, `list` and `watch` on captchatasks in its namespace. Ends 1 and says why when it fails.
import { createTaskClient, refOf } from 'captcha-operator/client';

const [name = 'login', siteKey = '0x4AAAAAAADnPIDROrmt1Wwj', pageURL = 'https://example.com/login'] =
  process.argv.slice(2);
const tasks = await createTaskClient({ userAgent: 'solve-example' });
const metadata = { name, namespace: tasks.namespace ?? 'default' };
const made = await tasks.create({
  metadata,
  spec: { captcha: { type: 'Turnstile', turnstile: { siteKey, pageURL } } },
});
const end = 'task' in made ? await tasks.waitForSolved(refOf(made.task), { timeoutMs: 600_000 }) : made;
if (end.kind === 'solved') console.log(end.solution.value);
else console.error(`${end.kind}: ${end.message ?? ''}`);
process.exitCode = end.kind === 'solved' ? 0 : 1;
await tasks.close();
