import { Button, PasswordInput, Stack, Text, Title } from '@mantine/core'
import { IconKey } from '@tabler/icons-react'
import { type FormEvent, useState } from 'react'
import { useSession } from './session.tsx'
import classes from './sign-in.module.css'

/** Asks for an API key, where the server wants one. */
export function SignIn({ isPage }: { isPage: boolean }) {
  const { apiKey, signIn } = useSession()
  const [key, setKey] = useState('')
  const refused = apiKey !== null && (key === '' || key === apiKey)

  function submit(event: FormEvent) {
    event.preventDefault()
    const given = key.trim()
    if (given !== '') signIn(given)
  }

  return (
    <form className={classes.card} onSubmit={submit} aria-labelledby="sign-in">
      <Stack gap="md">
        <span className={classes.icon}>
          <IconKey size={20} stroke={1.75} aria-hidden />
        </span>
        <div>
          <Title order={isPage ? 1 : 2} fz="lg" id="sign-in">
            This server wants an API key
          </Title>
          <Text size="sm" c="dimmed" mt={4}>
            It is kept in this tab only and forgotten when you close it.
          </Text>
        </div>
        <PasswordInput
          label="API key"
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
          error={refused ? 'The server does not know this key, or it may not do this.' : undefined}
          autoComplete="off"
          data-autofocus
        />
        <Button type="submit" disabled={key.trim() === ''}>
          Sign in
        </Button>
      </Stack>
    </form>
  )
}
