import { Select, Stack, Text, Textarea } from '@mantine/core'
import { useSessionStorage } from '@mantine/hooks'
import { type FormEvent, useMemo, useState } from 'react'
import type { TypeInfo } from '../../../shared/api.ts'
import { type Json, JsonView } from '../common/json.tsx'
import { exampleOf } from './example.ts'
import classes from './json-form.module.css'
import { SubmitBar, useSubmission } from './submission.tsx'

/** From this many on one looks for a type by its name. */
const MANY = 8

/** Any type, its payload written as JSON. */
export function JsonForm({ types }: { types: readonly TypeInfo[] }) {
  const [chosen, choose] = useSessionStorage({ key: 'jobcast.type', defaultValue: '' })
  const type = types.find((one) => one.type === chosen) ?? types[0]
  if (type === undefined) return null
  return (
    <Stack gap="lg">
      <Select
        label="Type"
        data={types.map((one) => one.type)}
        value={type.type}
        onChange={(value) => choose(value ?? '')}
        allowDeselect={false}
        searchable={types.length >= MANY}
        nothingFoundMessage="No such type"
        description={standing(type)}
        inputWrapperOrder={['label', 'input', 'description']}
      />
      <Payload key={type.type} type={type} />
    </Stack>
  )
}

/** What keeps a job of the type from starting. */
function standing({ paused, workers }: TypeInfo): string | null {
  if (paused) return 'It is paused: the job waits until it is resumed.'
  return workers === 0 ? 'No worker runs it at the moment: the job waits for one.' : null
}

function Payload({ type: { type, payloadSchema } }: { type: TypeInfo }) {
  const example = useMemo(
    () => JSON.stringify(payloadSchema === null ? {} : exampleOf(payloadSchema), null, 2),
    [payloadSchema],
  )
  // What was begun outlasts a look at the job's page.
  const [draft, setDraft] = useSessionStorage<string | null>({
    key: `jobcast.draft.${type}`,
    defaultValue: null,
    getInitialValueInEffect: false,
  })
  const [syntax, setSyntax] = useState<string | null>(null)
  const { isSending, problems, send } = useSubmission(type)
  const text = draft ?? example

  function submit(event: FormEvent) {
    event.preventDefault()
    try {
      const payload: Json = JSON.parse(text)
      setSyntax(null)
      send(payload)
    } catch (error) {
      setSyntax(`This is no JSON: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  const found = syntax === null ? problems.listed : []
  return (
    <form onSubmit={submit} noValidate aria-label={type}>
      <Stack gap="lg">
        <Textarea
          label="Payload"
          classNames={{ input: classes.editor }}
          autosize
          minRows={6}
          maxRows={20}
          spellCheck={false}
          autoComplete="off"
          value={text}
          onChange={(event) => setDraft(event.currentTarget.value)}
          error={syntax ?? (found.length > 0 && <Found problems={found} />)}
        />
        {payloadSchema === null ? (
          <Text size="sm" c="dimmed">
            This type takes any JSON.
          </Text>
        ) : (
          <details className={classes.schema}>
            <summary>What it takes</summary>
            <JsonView value={withoutDialect(payloadSchema)} label="schema of the payload" />
          </details>
        )}
        <SubmitBar label="Submit" isSending={isSending} general={syntax === null ? problems.general : null} />
      </Stack>
    </form>
  )
}

function withoutDialect({ $schema, ...schema }: Record<string, Json>): Json {
  return schema
}

function Found({ problems }: { problems: readonly { path: string; message: string }[] }) {
  return (
    <span className={classes.problems}>
      {problems.map(({ path, message }) => (
        <span key={`${path} ${message}`}>
          <code>{path}</code> {message}
        </span>
      ))}
    </span>
  )
}
