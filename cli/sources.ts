import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, extname, join, resolve } from 'node:path'

/** Which files of a project a jobs file is made of: what is watched. */

/** Every text in quotes that may be the path of a module: imports, and the addresses of isolated handlers. */
const QUOTED = /(['"`])((?:\.{1,2}|[@~#][\w-]*|[A-Za-z][\w-]*)\/[\w@./+-]*|\.{1,2})\1/g
const ENDINGS = ['', '.ts', '.tsx', '.mts', '.cts', '.js', '.jsx', '.mjs', '.cjs', '.json']
const SCANNED = /\.[cm]?[jt]sx?$/
const MOST_FILES = 2000

/** These files and, as far as their text tells, all that they import which is no package. */
export function sourcesOf(files: readonly string[]): Set<string> {
  const found = new Set<string>()
  const waiting = files.map((file) => resolve(file))
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (found.has(file) || found.size >= MOST_FILES) continue
    found.add(file)
    if (!SCANNED.test(file)) continue
    for (const [, , path = ''] of textOf(file).matchAll(QUOTED)) {
      const target = targetOf(path, file)
      if (target !== null) waiting.push(target)
    }
  }
  return found
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function targetOf(path: string, from: string): string | null {
  if (path.startsWith('.')) return fileAt(resolve(dirname(from), path))
  // An alias such as `@/lib/words`, by whatever `paths` says: the nearest folder that has the rest.
  const rest = path.slice(path.indexOf('/') + 1)
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    for (const base of [join(folder, rest), join(folder, 'src', rest), join(folder, path)]) {
      const file = fileAt(base)
      if (file !== null) return file
    }
    if (existsSync(join(folder, 'package.json')) || dirname(folder) === folder) return null
  }
}

/** The file that an import of the path means; a `.js` may stand for the TypeScript that it is made from. */
function fileAt(path: string): string | null {
  const bases = extname(path).startsWith('.') ? [path, path.replace(/\.[cm]?jsx?$/, '')] : [path]
  for (const base of [...bases, join(path, 'index')]) {
    for (const ending of ENDINGS) if (isFile(base + ending)) return base + ending
  }
  return null
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}
