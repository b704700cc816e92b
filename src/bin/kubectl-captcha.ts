#!/usr/bin/env node
/** The program that kubectl finds as its plugin `captcha`. */
import { runPlugin } from './plugin.ts';

await runPlugin(process.argv.slice(2));
