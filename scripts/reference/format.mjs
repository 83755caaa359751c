// Lays out the code of a page of the reference as that of the repository is.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const BLOCK = /^```ts\n([\s\S]*?)^```$/gm
const SEPARATOR = /^\/\/ next\n/m

/** The parts of declarations that a page shows, and what makes a declaration of each. */
const PARTS = [
  { is: /^(?:function|type) /, whole: (code) => code, part: (code) => code },
  { is: /^\{/, whole: (code) => `type Part = ${code}`, part: (code) => code.replace('type Part = ', '') },
  {
    is: /^new /,
    whole: (code) => asMember(code.replace('new ', '')),
    part: (code) => `new ${ofMember(code)}`,
  },
  { is: /^/, whole: asMember, part: ofMember },
]

function asMember(code) {
  return `interface Part {\n${code}}\n`
}

function ofMember(code) {
  return code
    .replace(/^interface Part \{\n/, '')
    .replace(/^\}\n+$/m, '')
    .replaceAll(/^ {2}/gm, '')
}

export function formatted(page) {
  const blocks = [...page.matchAll(BLOCK)].map(([, code]) => ({
    code,
    of: PARTS.find(({ is }) => is.test(code)),
  }))
  const declarations = blocks.map(({ code, of }) => `// next\n${of.whole(code)}`).join('')
  const [, ...texts] = format(declarations).split(SEPARATOR)
  const codes = blocks.map(({ of }, index) => of.part(texts[index]).trim())
  return page.replaceAll(BLOCK, () => `\`\`\`ts\n${codes.shift()}\n\`\`\``)
}

function format(declarations) {
  const { stdout, stderr, status } = spawnSync(
    join('node_modules', '.bin', 'biome'),
    ['format', '--stdin-file-path=reference.d.ts'],
    { input: declarations, encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(stderr)
  return stdout
}
