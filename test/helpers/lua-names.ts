const TOKEN = /--[^\n]*|'(?:\\.|[^'\\])*'|[A-Za-z_$]\w*|\d[\w.]*|\.{2,3}|[=~<>]=|\n|\S/g
const NAME = /^[A-Za-z_]/
const KEYWORDS = new Set(
  'and break do else elseif end false for function if in local nil not or repeat return then true until while'.split(
    ' ',
  ),
)

interface Token {
  readonly text: string
  readonly line: number
}

export interface LuaNames {
  /** Names that a text uses and does not define. */
  readonly free: ReadonlySet<string>
  /** Names that it defines for what follows it, or assigns to. */
  readonly given: ReadonlySet<string>
}

/**
 * Which names a text of Lua needs and leaves. It knows as much of the language as the scripts use: statements stand in lines of their
 * own, so that what `local` defines holds from the next line on, and `until` ends with its line.
 */
export function namesOf(text: string): LuaNames {
  const tokens = tokensOf(text)
  const free = new Set<string>()
  const given = new Set<string>()
  const scopes: Set<string>[] = [new Set()]
  const brackets: string[] = []
  let later: { readonly line: number; readonly act: () => void }[] = []

  const at = (index: number) => tokens[index]?.text ?? ''
  const declare = (name: string) => {
    scopes.at(-1)?.add(name)
    if (scopes.length === 1) given.add(name)
  }
  /** Names from here on, with commas in between, and where they end. */
  const list = (from: number): [names: string[], end: number] => {
    const names: string[] = []
    let index = from
    for (; isName(at(index)); index += 2) {
      names.push(at(index))
      if (at(index + 1) !== ',') return [names, index + 1]
    }
    return [names, index]
  }

  let loopNames: string[] = []
  for (let index = 0; index < tokens.length; index++) {
    const { text: token, line } = tokens[index] ?? { text: '', line: 0 }
    const due = later.filter((one) => one.line < line)
    later = later.filter((one) => one.line >= line)
    for (const { act } of due) act()

    if (token === 'local' && at(index + 1) !== 'function') {
      const [names, end] = list(index + 1)
      later.push({ line, act: () => names.forEach(declare) })
      index = end - 1
    } else if (token === 'function') {
      const name = at(index + 1)
      if (isName(name)) declare(name)
      const [parameters, end] = list(index + (isName(name) ? 3 : 2))
      scopes.push(new Set(parameters))
      index = end
    } else if (token === 'for') {
      const [names, end] = list(index + 1)
      loopNames = names
      index = end - 1
    } else if (token === 'do' || token === 'then' || token === 'repeat') {
      scopes.push(new Set(loopNames))
      loopNames = []
    } else if (token === 'end' || token === 'elseif') scopes.pop()
    else if (token === 'else') {
      scopes.pop()
      scopes.push(new Set())
    } else if (token === 'until') later.push({ line, act: () => scopes.pop() })
    else if (/[[({]/.test(token)) brackets.push(token)
    else if (/[\])}]/.test(token)) brackets.pop()
    else if (isName(token)) {
      const isField = at(index - 1) === '.' || at(index - 1) === ':'
      const isKey = brackets.at(-1) === '{' && at(index + 1) === '='
      if (isField || isKey || scopes.some((scope) => scope.has(token))) continue
      free.add(token)
      if (brackets.length === 0 && at(list(index)[1]) === '=') given.add(token)
    }
  }
  for (const { act } of later) act()
  return { free, given }
}

function isName(token: string): boolean {
  return NAME.test(token) && !KEYWORDS.has(token)
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  let line = 1
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '\n') line += 1
    else if (!token.startsWith('--')) tokens.push({ text: token, line })
  }
  return tokens
}
