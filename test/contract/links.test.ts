/**
 * Every local link in the documentation leads somewhere: to a file that exists, and to a heading that the file has.
 * Addresses on the network are not asked, because a test must not depend on them.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const SKIPPED = /(^|\/)(node_modules|dist|\.git)(\/|$)/;

const pages = readdirSync(ROOT, { encoding: 'utf8' })
  .flatMap((name) =>
    ['docs', 'deploy', 'examples', '.github'].includes(name)
      ? readdirSync(join(ROOT, name), { recursive: true, encoding: 'utf8' }).map((inner) => `${name}/${inner}`)
      : [name],
  )
  .filter((name) => name.endsWith('.md') && !SKIPPED.test(name));

/** Text without code: what looks like a link in an example is none. */
function proseOf(markdown: string): string {
  return markdown.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '').replaceAll(/`[^`\n]*`/g, '');
}

export function linksOf(markdown: string): string[] {
  const prose = proseOf(markdown);
  const inline = [...prose.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)].map((match) => match[1] ?? '');
  const references = [...prose.matchAll(/^\[[^\]]+\]:\s*(\S+)/gm)].map((match) => match[1] ?? '');
  return [...inline, ...references];
}

/** Anchors as GitHub makes them: lower case, punctuation dropped, spaces to hyphens, `-1` for a repeated one. */
export function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  const withoutBlocks = markdown.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '');
  for (const match of withoutBlocks.matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const text = (match[1] ?? '').replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll(/[`*]/g, '');
    const slug = text
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-');
    let anchor = slug;
    for (let again = 1; anchors.has(anchor); again += 1) anchor = `${slug}-${again}`;
    anchors.add(anchor);
  }
  for (const match of withoutBlocks.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) anchors.add(match[1] ?? '');
  return anchors;
}

/** What is wrong with a link, or undefined. */
function faultOf(page: string, link: string): string | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(link)) return undefined;
  const [path = '', anchor] = link.split('#', 2);
  const target = path === '' ? page : posix.normalize(posix.join(dirname(page), decodeURIComponent(path)));
  if (target.startsWith('..')) return `${page}: ${link} leaves the repository`;
  if (!existsSync(join(ROOT, target))) return `${page}: ${link} leads to no file`;
  if (anchor === undefined || !target.endsWith('.md')) return undefined;
  const anchors = anchorsOf(readFileSync(join(ROOT, target), 'utf8'));
  return anchors.has(anchor) ? undefined : `${page}: ${link} leads to no heading of ${target}`;
}

describe('the documentation', () => {
  test('has the pages that a reader starts from', () => {
    const entries = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md'];
    expect(pages).toEqual(
      expect.arrayContaining([...entries, 'docs/concepts.md', 'docs/api.md', 'docs/operations.md']),
    );
  });

  test.each(pages)('%s has no dead local link', (page) => {
    const links = linksOf(readFileSync(join(ROOT, page), 'utf8'));
    expect(links.flatMap((link) => faultOf(page, link) ?? [])).toEqual([]);
  });

  test('can be read from the README: every page in docs/ is linked from some other page', () => {
    const linked = new Set(
      pages.flatMap((page) =>
        linksOf(readFileSync(join(ROOT, page), 'utf8')).map((link) =>
          posix.normalize(posix.join(dirname(page), link.split('#')[0] ?? '')),
        ),
      ),
    );
    const docs = pages.filter((page) => page.startsWith('docs/'));
    const isListed = (page: string): boolean =>
      linked.has(page) || linked.has(`${dirname(page)}/`) || linked.has(dirname(page));
    expect(docs.filter((page) => !isListed(page))).toEqual([]);
  });
});

describe('ARCHITECTURE.md', () => {
  test('names only files and folders that exist', () => {
    const table = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8').split('## To change X, open Y')[1] ?? '';
    const named = [...table.matchAll(/`([\w-]+\/[\w./-]*)`/g)].map((match) => match[1] ?? '');
    expect(named.length).toBeGreaterThan(15);
    const isThere = (name: string): boolean => existsSync(join(ROOT, 'src', name)) || existsSync(join(ROOT, name));
    expect(named.filter((name) => !isThere(name))).toEqual([]);
  });
});

describe('the link check itself', () => {
  test('finds links in prose and not in code', () => {
    const markdown = 'a [b](c.md#d) `[e](f)`\n```\n[g](h)\n```\n![i](j.png "k")\n[l]: m.md\n';
    expect(linksOf(markdown)).toEqual(['c.md#d', 'j.png', 'm.md']);
  });

  test('finds dead files, dead headings and links out of the repository', () => {
    expect(faultOf('README.md', 'docs/nowhere.md')).toContain('no file');
    expect(faultOf('README.md', 'CHANGELOG.md#nowhere')).toContain('no heading');
    expect(faultOf('README.md', '../else/where.md')).toContain('leaves the repository');
    expect(faultOf('README.md', 'https://example.com/nowhere')).toBeUndefined();
    expect(faultOf('README.md', 'CHANGELOG.md#unreleased')).toBeUndefined();
  });

  test('makes anchors as the host of the repository does', () => {
    const anchors = anchorsOf('# A `b`, c!\n## Same\n## Same\n```\n# not one\n```\n## [Link](x.md) & more\n');
    expect([...anchors]).toEqual(['a-b-c', 'same', 'same-1', 'link--more']);
  });
});
