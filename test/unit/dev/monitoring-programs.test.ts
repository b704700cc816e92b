import { expect, test } from 'vitest';

import { startMonitoring } from '../../../dev/monitoring/index.ts';

test('a missing Prometheus is told with what to install', async () => {
  const started = startMonitoring({ targets: [], rules: 'groups: []', path: '/nowhere:/nor/here' });
  await expect(started).rejects.toThrow(
    /^prometheus is not on the PATH\. Install it \(Debian: apt-get install prometheus/,
  );
});
