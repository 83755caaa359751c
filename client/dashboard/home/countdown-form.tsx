import { Checkbox, NumberInput, SimpleGrid, Stack, Text } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import type { Json } from '../common/json.tsx'
import { SubmitBar, useSubmission } from './submission.tsx'

const NUMBERS = [
  { name: 'steps', label: 'Steps', hint: '10' },
  { name: 'stepMs', label: 'Each takes', hint: '500', suffix: ' ms' },
  { name: 'failAtStep', label: 'Fail at step', hint: 'never' },
  { name: 'failAttempts', label: 'Attempts that fail', hint: 'all' },
  { name: 'resultBytes', label: 'Pad the result by', hint: '0', suffix: ' B' },
] as const

const FLAGS = [
  { name: 'logs', label: 'Write log lines' },
  { name: 'chunks', label: 'Send chunks' },
  { name: 'unrecoverable', label: 'Fail for good, without retries' },
  { name: 'ignoreAbort', label: 'Ignore being cancelled' },
] as const

const FIELDS = [...NUMBERS, ...FLAGS].map(({ name }) => name)

type Numbers = Readonly<Record<string, number | string>>
type Flags = Readonly<Record<string, boolean>>

/** A job for trying things out: it counts, and fails where it is told to. */
export function CountdownForm() {
  const [numbers, setNumbers] = useState<Numbers>({ steps: 10, stepMs: 500 })
  const [flags, setFlags] = useState<Flags>({ logs: true, chunks: true })
  const { isSending, problems, send } = useSubmission('countdown', FIELDS)

  function submit(event: FormEvent) {
    event.preventDefault()
    send(payloadOf(numbers, flags))
  }

  return (
    <form onSubmit={submit} noValidate aria-label="Countdown">
      <Stack gap="lg">
        <Text size="sm" c="dimmed">
          Counts steps, and fails where you tell it to: for trying out retries, cancelling and reconnecting.
        </Text>
        <SimpleGrid cols={2} spacing="md" verticalSpacing="md">
          {NUMBERS.map(({ name, label, hint, ...rest }) => (
            <NumberInput
              key={name}
              label={label}
              placeholder={hint}
              min={0}
              allowDecimal={false}
              clampBehavior="none"
              value={numbers[name] ?? ''}
              onChange={(value) => setNumbers({ ...numbers, [name]: value })}
              error={problems.of(name)}
              {...rest}
            />
          ))}
        </SimpleGrid>
        <Stack gap={10}>
          {FLAGS.map(({ name, label }) => (
            <Checkbox
              key={name}
              size="sm"
              label={label}
              checked={flags[name] ?? false}
              onChange={(event) => setFlags({ ...flags, [name]: event.currentTarget.checked })}
              error={problems.of(name)}
            />
          ))}
        </Stack>
        <SubmitBar label="Start counting" isSending={isSending} general={problems.general} />
      </Stack>
    </form>
  )
}

/** Empty fields and unticked boxes are left to the server's defaults. */
function payloadOf(numbers: Numbers, flags: Flags): Json {
  const filled = Object.entries(numbers).filter(([, value]) => value !== '')
  const ticked = Object.entries(flags).filter(([, value]) => value)
  return Object.fromEntries([...filled, ...ticked])
}
