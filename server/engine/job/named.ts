type Values = Readonly<Record<string, unknown>>

/**
 * JSON, without a space, of values by their names, for what came to a text after its first version: all that have no place of
 * their own in it and are not as usual. Empty where there are none. What is usual of a name stays so for good: it is what is
 * meant where nothing is kept.
 */
export function encodeNamed(values: Values, usual: Values, placed: ReadonlySet<string>): string {
  const said: [name: string, value: unknown][] = []
  for (const name in usual) {
    const value = values[name]
    if (value !== undefined && value !== usual[name] && !placed.has(name)) said.push([name, value])
  }
  return said.length === 0 ? '' : JSON.stringify(Object.fromEntries(said)).replaceAll(' ', '\\u0020')
}

/** The values that stand at the beginning of a text. A newer version may put something else behind them, or in their place. */
export function decodeNamed(text: string): Values {
  const [json = ''] = text.split(' ', 1)
  return json.startsWith('{') ? JSON.parse(json) : {}
}
