import { ActionIcon, Tooltip } from '@mantine/core'
import { IconLogout } from '@tabler/icons-react'
import { useSession } from '../session/session.tsx'

/** Only where an API key is in use: forget it. */
export function SignOut() {
  const { apiKey, signOut } = useSession()
  if (apiKey === null) return null
  return (
    <Tooltip label="Sign out">
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        aria-label="Sign out: forget the API key"
        onClick={signOut}
      >
        <IconLogout size={18} stroke={1.75} color="var(--jc-muted)" />
      </ActionIcon>
    </Tooltip>
  )
}
