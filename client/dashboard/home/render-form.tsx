import { Button, Group, NumberInput, Stack, Text, Textarea } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { SubmitBar, useSubmission } from './submission.tsx'

const EXAMPLES = [
  'northern lights over a fjord',
  'neon city in the rain',
  'dunes at sunset',
  'a violet nebula',
]

/** A picture painted from a prompt, tile by tile. */
export function RenderForm() {
  const [prompt, setPrompt] = useState('')
  const [width, setWidth] = useState<number | string>(512)
  const [height, setHeight] = useState<number | string>(512)
  const { isSending, problems, send } = useSubmission('render', ['prompt', 'width', 'height'])

  function submit(event: FormEvent) {
    event.preventDefault()
    send({ prompt, width: numberOf(width), height: numberOf(height) })
  }

  return (
    <form onSubmit={submit} noValidate aria-label="Render">
      <Stack gap="lg">
        <div>
          <Textarea
            label="Prompt"
            placeholder="What should be painted?"
            autosize
            minRows={3}
            maxRows={8}
            maxLength={500}
            value={prompt}
            onChange={(event) => setPrompt(event.currentTarget.value)}
            error={problems.of('prompt')}
          />
          <Group gap={6} mt={10}>
            <Text size="xs" c="dimmed" component="span">
              Try
            </Text>
            {EXAMPLES.map((example) => (
              <Button
                key={example}
                variant="default"
                size="compact-xs"
                radius="xl"
                styles={{ label: { fontWeight: 450 } }}
                onClick={() => setPrompt(example)}
              >
                {example}
              </Button>
            ))}
          </Group>
        </div>
        <Group grow align="flex-start">
          <NumberInput
            label="Width"
            suffix=" px"
            min={64}
            max={1024}
            step={64}
            clampBehavior="none"
            allowDecimal={false}
            value={width}
            onChange={setWidth}
            error={problems.of('width')}
          />
          <NumberInput
            label="Height"
            suffix=" px"
            min={64}
            max={1024}
            step={64}
            clampBehavior="none"
            allowDecimal={false}
            value={height}
            onChange={setHeight}
            error={problems.of('height')}
          />
        </Group>
        <SubmitBar label="Paint it" isSending={isSending} general={problems.general} />
      </Stack>
    </form>
  )
}

/** An emptied field is null, which the server refuses at that field. */
function numberOf(value: number | string): number | null {
  return typeof value === 'number' ? value : null
}
