#!/usr/bin/env node
/** What kubectl's own completion asks about its plugin `captcha`; npm installs it as `kubectl_complete-captcha`. */
import { COMPLETE } from '../cli/index.ts';
import { runPlugin } from './plugin.ts';

await runPlugin([COMPLETE, ...process.argv.slice(2)]);
