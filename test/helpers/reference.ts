import { z } from 'zod'
import type { Table } from '../../shared/table.ts'

const DURATIONS = [
  [365 * 86_400_000, 'year'],
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1000, 'second'],
] as const

const Node = z.object({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  enum: z.array(z.unknown()).optional(),
  format: z.string().optional(),
  pattern: z.string().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  minLength: z.number().optional(),
  maxLength: z.number().optional(),
  maxItems: z.number().optional(),
  items: z.unknown().optional(),
  anyOf: z.array(z.unknown()).optional(),
})

type Row = Table[string]

/**
 * A Markdown row for each field of a table: its name, what it may be (of an option, what may be said), what else `cells`
 * say of it, and what it is for.
 */
export function referenceRows(
  rows: Table,
  what: 'schema' | 'option',
  cells: (row: Row, name: string) => readonly string[],
  prefix = '',
): string[] {
  return Object.entries(rows).map(([name, row]) => {
    const schema = (what === 'option' ? row.option : undefined) ?? row.schema
    const values = valuesOf(z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' }), name)
    return `| ${[`\`${prefix}${name}\``, values, ...cells(row, name), row.about].join(' | ')} |`
  })
}

/** What holds where nothing is said, as the reference has it. */
export function usualText(usual: unknown, name: string): string {
  if (name.endsWith('Ms')) return duration(Number(usual))
  const text = `\`${String(JSON.stringify(usual)).replaceAll('"', '')}\``
  return text.startsWith('`{') ? 'as below' : text
}

/** What a schema allows, in words. */
function valuesOf(schema: unknown, name: string): string {
  // Any JSON is the only schema that refers to itself.
  if (JSON.stringify(schema).includes('$ref')) return 'any JSON'
  const node = Node.parse(schema)
  if (node.anyOf !== undefined) {
    return [...new Set(node.anyOf.map((one) => valuesOf(one, name)))].join(' or ')
  }
  if (node.enum !== undefined) return node.enum.map((value) => `\`${value}\``).join(', ')
  switch (node.type) {
    case 'integer':
    case 'number':
      return rangeOf(node, name)
    case 'array':
      return arrayOf(node, name)
    case 'string':
      return stringOf(node)
    case 'boolean':
      return '`true`, `false`'
    default:
      return [node.type ?? 'object']
        .flat()
        .map((type) => (type === 'string' ? 'text' : type))
        .join(' or ')
  }
}

function rangeOf({ minimum = 0, maximum }: z.infer<typeof Node>, name: string): string {
  if (name.endsWith('Ms')) return `${duration(minimum)} to ${duration(maximum ?? Number.NaN)}`
  return maximum === undefined || maximum === Number.MAX_SAFE_INTEGER
    ? `${minimum} and more`
    : `${minimum}–${maximum}`
}

function arrayOf({ items, maxItems }: z.infer<typeof Node>, name: string): string {
  const one = valuesOf(items, name)
  return maxItems === undefined ? `array of ${one}` : `up to ${maxItems} of ${one}`
}

function stringOf({ format, pattern, minLength, maxLength }: z.infer<typeof Node>): string {
  // A time without seconds has no format of its own.
  if (format === 'date-time' || pattern?.includes('T')) return 'time'
  return maxLength === undefined ? 'text' : `${minLength ?? 0}–${maxLength} characters`
}

/** In the largest unit that has it whole. */
function duration(ms: number): string {
  for (const [unit, name] of DURATIONS) {
    if (ms > 0 && ms % unit === 0) return `${ms / unit} ${name}${ms === unit ? '' : 's'}`
  }
  return ms === 0 ? '0' : `${ms} ms`
}
